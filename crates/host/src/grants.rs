//! What a program was granted. Nothing is granted by default.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use crate::{Authorities, Bindings};

/// All grants of one program.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    /// Directories.
    pub dirs: Vec<Dir>,
    /// Environment variables: name and value.
    pub env: Vec<(String, String)>,
    /// Peers to send to, over TCP and UDP; their names may be looked up.
    pub net: Vec<Peer>,
    /// Local addresses to receive on.
    pub listen: Vec<SocketAddr>,
    /// Servers to send HTTP requests to.
    pub http: Vec<Peer>,
    /// Who may vouch for the servers of encrypted connections.
    pub authorities: Authorities,
    /// What its app binds to a function; `None` for a program that is run by itself.
    pub bindings: Option<Arc<Bindings>>,
}

/// A directory of the host, under a name that the program sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dir {
    /// Where it is.
    pub host: PathBuf,
    /// What the program calls it.
    pub guest: String,
    /// Whether the program may change nothing in it.
    pub read_only: bool,
}

/// A host and port. Written `HOST:PORT`; `*` stands for any host, and for any port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Which host.
    pub host: PeerHost,
    /// Which port; `None` is any.
    pub port: Option<u16>,
}

/// Which host a [`Peer`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerHost {
    /// Every host.
    Any,
    /// The host with this address.
    Address(IpAddr),
    /// The host with this name, in lower case, at whatever addresses a name [may mean](Self::may_mean).
    Name(String),
}

impl PeerHost {
    /// Whether a granted name may come to mean `ip`.
    ///
    /// Who answers for a name can change its address at any time (DNS rebinding). It must not become a way to this
    /// machine, nor to what only its own link reaches, such as the server that gives keys to machines in a cloud: these are
    /// granted by their addresses. `localhost` is this machine by definition (RFC 6761, section 6.3).
    pub(crate) fn may_mean(name: &str, ip: IpAddr) -> bool {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let is_here = name == "localhost" || name.ends_with(".localhost");
        let ip = ip.to_canonical();
        let is_on_link = match ip {
            IpAddr::V4(ip) => ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_unicast_link_local() || ip == CLOUD_V6,
        };
        !ip.is_unspecified() && !is_on_link && (is_here || !ip.is_loopback())
    }
}

/// Where a cloud gives keys to machines over IPv6; over IPv4 it is 169.254.169.254, which is link-local.
const CLOUD_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// A grant that cannot be understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Malformed {
    reason: &'static str,
}

const NOT_A_URL: &str = "a host and port only, not a URL";

impl Peer {
    /// Every host and port.
    pub const ANY: Peer = Peer { host: PeerHost::Any, port: None };

    /// A server of HTTP: as `HOST:PORT`, but every port where none is named.
    ///
    /// # Errors
    /// When it is neither.
    pub fn server(text: &str) -> Result<Self, Malformed> {
        if text.contains(':') && !text.ends_with(']') {
            return text.parse();
        }
        Ok(Peer { host: text.parse()?, port: None })
    }

    /// Whether this grant covers `host`, a name or an address as a program writes it, at `port`.
    pub fn covers(&self, host: &str, port: u16) -> bool {
        self.covers_host(host) && self.port.is_none_or(|granted| granted == port)
    }

    /// Whether this grant covers `address`, to which `host` has led.
    pub(crate) fn reaches(&self, host: &str, address: SocketAddr) -> bool {
        let leads = match &self.host {
            PeerHost::Any => true,
            PeerHost::Address(granted) => granted.to_canonical() == address.ip().to_canonical(),
            PeerHost::Name(name) => self.covers_host(host) && PeerHost::may_mean(name, address.ip()),
        };
        leads && self.port.is_none_or(|granted| granted == address.port())
    }

    /// Whether this grant covers `host` at some port.
    pub fn covers_host(&self, host: &str) -> bool {
        match &self.host {
            PeerHost::Any => true,
            PeerHost::Name(name) => name.eq_ignore_ascii_case(host.trim_end_matches('.')),
            // With a dot behind it, it would be a name, which others answer for.
            PeerHost::Address(address) => {
                host.trim_start_matches('[').trim_end_matches(']').parse() == Ok(*address)
            }
        }
    }
}

impl FromStr for Peer {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        if text.contains('/') {
            return Err(Malformed { reason: NOT_A_URL });
        }
        let (host, port) = text
            .rsplit_once(':')
            .ok_or(Malformed { reason: "expected `HOST:PORT`, such as `example.com:443`" })?;
        let port = match port {
            "*" => None,
            port => Some(
                port.parse()
                    .map_err(|_| Malformed { reason: "the port is neither a number up to 65535 nor `*`" })?,
            ),
        };
        Ok(Peer { host: host.parse()?, port })
    }
}

impl FromStr for PeerHost {
    type Err = Malformed;

    fn from_str(host: &str) -> Result<Self, Malformed> {
        if host == "*" {
            return Ok(PeerHost::Any);
        }
        if let Some(inner) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            let address =
                inner.parse().map_err(|_| Malformed { reason: "no IPv6 address in the brackets" })?;
            return Ok(PeerHost::Address(IpAddr::V6(address)));
        }
        if let Ok(address) = host.parse() {
            return Ok(PeerHost::Address(IpAddr::V4(address)));
        }
        let ends_in_number =
            |name: &str| name.rsplit('.').next().is_some_and(|last| last.parse::<u64>().is_ok());
        let in_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        match host.trim_end_matches('.') {
            "" => Err(Malformed { reason: "the host is empty" }),
            _ if host.contains(':') => {
                Err(Malformed { reason: "an IPv6 address goes in brackets: `[::1]:80`" })
            }
            _ if host.contains(['/', '@']) => Err(Malformed { reason: NOT_A_URL }),
            _ if host.contains('*') => Err(Malformed { reason: "`*` is any host, not a part of a name" }),
            name if ends_in_number(name) || !name.chars().all(in_name) => {
                Err(Malformed { reason: "neither an IPv4 address nor a name" })
            }
            name => Ok(PeerHost::Name(name.to_lowercase())),
        }
    }
}

impl FromStr for Dir {
    type Err = Malformed;

    /// `HOST[:GUEST][:ro]`. Without `GUEST` the program sees the directory under the name it has here.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (paths, read_only) = match text.strip_suffix(":ro") {
            Some(paths) => (paths, true),
            None => (text.strip_suffix(":rw").unwrap_or(text), false),
        };
        let (host, guest) = match paths.split_once(':') {
            Some((_, "")) => return Err(Malformed { reason: "the guest's name for it is empty" }),
            Some((_, guest)) if guest.contains(':') => {
                return Err(Malformed { reason: "expected `HOST[:GUEST][:ro]`" });
            }
            Some((host, guest)) => (host, guest),
            None => (paths, paths),
        };
        if host.is_empty() {
            return Err(Malformed { reason: "the directory is empty" });
        }
        Ok(Dir { host: host.into(), guest: guest.to_owned(), read_only })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            PeerHost::Any => f.write_str("*")?,
            PeerHost::Address(IpAddr::V4(address)) => write!(f, "{address}")?,
            PeerHost::Address(IpAddr::V6(address)) => write!(f, "[{address}]")?,
            PeerHost::Name(name) => f.write_str(name)?,
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => f.write_str(":*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> Result<Peer, &'static str> {
        text.parse().map_err(|error: Malformed| error.reason)
    }

    #[test]
    fn a_peer_is_read_as_it_is_shown() {
        for text in
            ["*:*", "*:80", "example.com:443", "a-b_c.d:*", "127.0.0.1:1", "[::1]:65535", "[2001:db8::1]:*"]
        {
            assert_eq!(peer(text).expect(text).to_string(), text);
        }
        // What a person may write otherwise.
        for (text, shown) in [("EXAMPLE.com.:80", "example.com:80"), ("[0:0::0001]:80", "[::1]:80")] {
            assert_eq!(peer(text).expect(text).to_string(), shown);
        }
    }

    #[test]
    fn every_address_and_port_is_read_as_it_is_shown() {
        // Some of each kind: all patterns of set bytes, each at a port of its own.
        for pattern in 0..=u16::MAX {
            let byte = |at: u32| if pattern >> at & 1 == 1 { 0x9a_u8.wrapping_mul(at as u8 + 1) } else { 0 };
            let v6 = IpAddr::from(std::array::from_fn::<u8, 16, _>(|at| byte(at as u32)));
            let v4 = IpAddr::from(std::array::from_fn::<u8, 4, _>(|at| byte(at as u32)));
            for address in [v4, v6] {
                let peer = Peer { host: PeerHost::Address(address), port: Some(pattern) };
                assert_eq!(peer.to_string().parse(), Ok(peer.clone()), "{peer}");
                assert!(peer.covers(&address.to_string(), pattern), "{peer}");
            }
        }
    }

    #[test]
    fn what_could_mean_another_peer_is_refused() {
        for (text, reason) in [
            ("", "expected `HOST:PORT`, such as `example.com:443`"),
            ("example.com", "expected `HOST:PORT`, such as `example.com:443`"),
            (":80", "the host is empty"),
            (".:80", "the host is empty"),
            ("example.com:", "the port is neither a number up to 65535 nor `*`"),
            ("example.com:65536", "the port is neither a number up to 65535 nor `*`"),
            ("example.com:-1", "the port is neither a number up to 65535 nor `*`"),
            ("https://example.com:443", NOT_A_URL),
            ("example.com:443/path", NOT_A_URL),
            ("me@example.com:443", NOT_A_URL),
            ("::1:80", "an IPv6 address goes in brackets: `[::1]:80`"),
            ("[::1:80", "an IPv6 address goes in brackets: `[::1]:80`"),
            ("[example.com]:80", "no IPv6 address in the brackets"),
            ("[127.0.0.1]:80", "no IPv6 address in the brackets"),
            ("1.2.3:80", "neither an IPv4 address nor a name"),
            ("1.2.3.256:80", "neither an IPv4 address nor a name"),
            ("a b:80", "neither an IPv4 address nor a name"),
            ("a\0b:80", "neither an IPv4 address nor a name"),
            ("*.example.com:80", "`*` is any host, not a part of a name"),
        ] {
            assert_eq!(peer(text), Err(reason), "{text}");
        }
    }

    #[test]
    fn a_grant_covers_its_own_host_and_port_only() {
        let granted = peer("example.com:443").expect("a peer");
        assert!(granted.covers("example.com", 443) && granted.covers("Example.COM.", 443));
        for (host, port) in
            [("example.com", 80), ("www.example.com", 443), ("example.com.evil", 443), ("", 443)]
        {
            assert!(!granted.covers(host, port), "{host}:{port}");
        }
        let granted = peer("127.0.0.1:80").expect("a peer");
        assert!(granted.covers("127.0.0.1", 80) && !granted.covers("127.0.0.1.", 80));
        let granted = peer("[::1]:*").expect("a peer");
        assert!(granted.covers("::1", 1) && granted.covers("[::1]", 2) && granted.covers("0:0::1", 3));
        assert!(!granted.covers("::2", 1) && !granted.covers("localhost", 1));
    }

    #[test]
    fn a_name_does_not_come_to_mean_this_machine_or_its_link() {
        let may = |name: &str, ip: &str| PeerHost::may_mean(name, ip.parse().expect("an address"));
        for ip in ["192.0.2.1", "10.0.0.1", "192.168.0.1", "2001:db8::1", "fd00::1"] {
            assert!(may("example.com", ip), "{ip}");
        }
        for ip in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(may("localhost", ip) && may("LOCALHOST.", ip) && may("a.localhost", ip), "{ip}");
            assert!(!may("example.com", ip) && !may("localhost.example.com", ip), "{ip}");
        }
        for ip in ["169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "fd00:ec2::254", "0.0.0.0", "::"] {
            assert!(!may("example.com", ip) && !may("localhost", ip), "{ip}");
        }
    }

    #[test]
    fn a_directory_is_read_with_its_name_and_mode() {
        let dir = |text: &str| text.parse::<Dir>().map_err(|error| error.reason);
        let granted = |host: &str, guest: &str, read_only| {
            Ok(Dir { host: host.into(), guest: guest.to_owned(), read_only })
        };
        for (text, expected) in [
            (".", granted(".", ".", false)),
            ("/data:ro", granted("/data", "/data", true)),
            ("/data:rw", granted("/data", "/data", false)),
            ("a b:/in", granted("a b", "/in", false)),
            (".:/in:ro", granted(".", "/in", true)),
            ("ro", granted("ro", "ro", false)),
            ("", Err("the directory is empty")),
            (":ro", Err("the directory is empty")),
            (":/in", Err("the directory is empty")),
            ("/data:", Err("the guest's name for it is empty")),
            ("/data::ro", Err("the guest's name for it is empty")),
            ("a:b:c", Err("expected `HOST[:GUEST][:ro]`")),
            ("a:b:RO", Err("expected `HOST[:GUEST][:ro]`")),
        ] {
            assert_eq!(dir(text), expected, "{text}");
        }
    }
}
