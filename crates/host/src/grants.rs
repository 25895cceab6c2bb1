//! What a program was granted. Nothing is granted by default.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// All grants of one program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// The host, at whatever addresses, with this name, in lower case.
    Name(String),
}

/// A grant that cannot be understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Malformed {
    reason: &'static str,
}

impl Peer {
    /// Every host and port.
    pub const ANY: Peer = Peer { host: PeerHost::Any, port: None };

    /// Whether this grant covers `host`, a name or an address as a program writes it, at `port`.
    pub fn covers(&self, host: &str, port: u16) -> bool {
        self.covers_host(host) && self.port.is_none_or(|granted| granted == port)
    }

    /// Whether this grant covers `host` at some port.
    pub fn covers_host(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.');
        match &self.host {
            PeerHost::Any => true,
            PeerHost::Name(name) => name.eq_ignore_ascii_case(host),
            PeerHost::Address(address) => {
                host.trim_start_matches('[').trim_end_matches(']').parse() == Ok(*address)
            }
        }
    }
}

impl FromStr for Peer {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (host, port) = text
            .rsplit_once(':')
            .ok_or(Malformed { reason: "expected `HOST:PORT`, such as `example.com:443`" })?;
        let port = match port {
            "*" => None,
            port => {
                Some(port.parse().map_err(|_| Malformed { reason: "the port is neither a number nor `*`" })?)
            }
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
            return Ok(PeerHost::Address(address));
        }
        if let Ok(address) = host.parse() {
            return Ok(PeerHost::Address(address));
        }
        let ends_in_number =
            |name: &str| name.rsplit('.').next().is_some_and(|last| last.parse::<u64>().is_ok());
        match host {
            "" => Err(Malformed { reason: "the host is empty" }),
            _ if host.contains(':') => {
                Err(Malformed { reason: "an IPv6 address goes in brackets: `[::1]:80`" })
            }
            _ if host.contains(['/', '@', ' ']) => {
                Err(Malformed { reason: "a host and port only, not a URL" })
            }
            _ if ends_in_number(host) => Err(Malformed { reason: "neither an IPv4 address nor a name" }),
            name => Ok(PeerHost::Name(name.trim_end_matches('.').to_ascii_lowercase())),
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
