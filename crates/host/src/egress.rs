//! What a sealed process may use of the network, as its supervisor sees it: the same grants that `net.rs` holds inside, held
//! again where a program that has taken over its engine cannot reach.

use std::collections::HashMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use engine::sealed::{Egress, Network, Protocol};

use crate::Grants;
use crate::grants::{Peer, PeerHost};
use crate::limits::{NAME_MEANS, NAME_SERVERS_MAX};

/// Where names are looked up.
const NAME_SERVER_PORT: u16 = 53;

/// Says which name servers there are (resolv.conf(5)).
const RESOLVER: &str = "/etc/resolv.conf";

#[derive(Debug)]
struct Granted {
    net: Vec<Peer>,
    http: Vec<Peer>,
    listen: Vec<SocketAddr>,
    /// Those that the process asks for the addresses of names; none where none was granted.
    name_servers: Vec<IpAddr>,
    /// What granted names meant, and when.
    names: Mutex<HashMap<String, (Instant, Vec<IpAddr>)>>,
}

/// What these grants come to for a process that is sealed.
pub fn network(grants: &Grants) -> Network {
    let (net, http, listen) = (grants.net.clone(), grants.http.clone(), grants.listen.clone());
    if net.is_empty() && http.is_empty() && listen.is_empty() {
        return Network::None;
    }
    let has_names = net.iter().chain(&http).any(|peer| !matches!(peer.host, PeerHost::Address(_)));
    let name_servers = if has_names { name_servers() } else { Vec::new() };
    Network::Granted(Arc::new(Granted { net, http, listen, name_servers, names: Mutex::default() }))
}

impl Egress for Granted {
    fn reaches(&self, to: SocketAddr, by: Protocol) -> bool {
        let ip = to.ip().to_canonical();
        if to.port() == NAME_SERVER_PORT && self.name_servers.contains(&ip) {
            return true;
        }
        // HTTP goes over TCP only.
        let http = self.http.iter().filter(|_| by == Protocol::Tcp);
        let mut peers =
            self.net.iter().chain(http).filter(|peer| peer.port.is_none_or(|port| port == to.port()));
        peers.any(|peer| match &peer.host {
            PeerHost::Any => true,
            PeerHost::Address(granted) => granted.to_canonical() == ip,
            PeerHost::Name(name) => PeerHost::may_mean(name, ip) && self.means(name, ip),
        })
    }

    fn listens(&self, at: SocketAddr) -> bool {
        self.listen.contains(&at)
    }
}

impl Granted {
    /// Whether `name` means `ip` now, or did a moment ago. Blocks.
    fn means(&self, name: &str, ip: IpAddr) -> bool {
        let names = || self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known =
            |(since, found): &(Instant, Vec<IpAddr>)| since.elapsed() < NAME_MEANS && found.contains(&ip);
        if names().get(name).is_some_and(is_known) {
            return true;
        }
        let Ok(found) = (name, 0).to_socket_addrs() else { return false };
        let found: Vec<IpAddr> = found.map(|address| address.ip().to_canonical()).collect();
        let means = found.contains(&ip);
        names().insert(name.to_owned(), (Instant::now(), found));
        means
    }
}

fn name_servers() -> Vec<IpAddr> {
    let text = fs::read_to_string(RESOLVER).unwrap_or_default();
    let server = |line: &str| {
        let address = line.trim().strip_prefix("nameserver")?.split_whitespace().next()?;
        let address: IpAddr = address.split('%').next()?.parse().ok()?;
        Some(address.to_canonical())
    };
    let found: Vec<IpAddr> = text.lines().filter_map(server).take(NAME_SERVERS_MAX).collect();
    if found.is_empty() { vec![Ipv4Addr::LOCALHOST.into()] } else { found }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(net: &[&str], http: &[&str], listen: &[&str]) -> Arc<dyn Egress> {
        let grants = Grants {
            net: net.iter().map(|peer| peer.parse().unwrap()).collect(),
            http: http.iter().map(|peer| Peer::server(peer).unwrap()).collect(),
            listen: listen.iter().map(|at| at.parse().unwrap()).collect(),
            ..Grants::default()
        };
        match network(&grants) {
            Network::Granted(egress) => egress,
            Network::None => panic!("something was granted"),
        }
    }

    #[track_caller]
    fn reaches(egress: &Arc<dyn Egress>, to: &str) -> (bool, bool) {
        let to = to.parse().unwrap();
        (egress.reaches(to, Protocol::Tcp), egress.reaches(to, Protocol::Udp))
    }

    #[test]
    fn addresses_and_ports_are_held() {
        let egress = granted(&["10.1.2.3:80", "[fd00::1]:*"], &["10.1.2.4:443"], &["127.0.0.1:0"]);
        assert_eq!(reaches(&egress, "10.1.2.3:80"), (true, true));
        assert_eq!(reaches(&egress, "[::ffff:10.1.2.3]:80"), (true, true));
        assert_eq!(reaches(&egress, "[fd00::1]:9"), (true, true));
        // A server of HTTP is one of TCP.
        assert_eq!(reaches(&egress, "10.1.2.4:443"), (true, false));
        for other in
            ["10.1.2.3:81", "10.1.2.4:80", "127.0.0.1:80", "0.0.0.0:80", "169.254.169.254:80", "[fd00::2]:9"]
        {
            assert_eq!(reaches(&egress, other), (false, false), "{other}");
        }
        // Where no name was granted, nobody is asked for one.
        name_servers().iter().for_each(|server| {
            assert_eq!(reaches(&egress, &SocketAddr::new(*server, 53).to_string()), (false, false))
        });
        assert!(egress.listens("127.0.0.1:0".parse().unwrap()));
        assert!(
            !egress.listens("127.0.0.1:80".parse().unwrap()) && !egress.listens("0.0.0.0:0".parse().unwrap())
        );
    }

    #[test]
    fn names_are_what_they_mean() {
        let egress = granted(&["localhost:80"], &[], &[]);
        assert_eq!(reaches(&egress, "127.0.0.1:80"), (true, true));
        assert_eq!(reaches(&egress, "127.0.0.2:80"), (false, false));
        assert_eq!(reaches(&egress, "127.0.0.1:81"), (false, false));
        let server = SocketAddr::new(name_servers()[0], 53).to_string();
        assert_eq!(reaches(&egress, &server), (true, true));
        assert_eq!(reaches(&granted(&["*:80"], &[], &[]), "10.0.0.1:80"), (true, true));
    }

    #[test]
    fn no_grant_is_no_network() {
        assert!(matches!(network(&Grants::default()), Network::None));
    }
}
