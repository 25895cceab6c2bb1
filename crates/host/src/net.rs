//! The network: which addresses a program may use, and which names it may look up.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use wasmtime_wasi::sockets::{SocketAddrUse, WasiSockets, WasiSocketsCtxView, WasiSocketsView};
use wasmtime_wasi::{p2, p3};

use engine::wasmtime;
use engine::wasmtime::component::{Accessor, HasData, Linker, Resource};

use crate::Host;
use crate::denials::{Denial, Denials};
use crate::grants::{Grants, Peer, PeerHost};
use crate::limits::UDP_PEERS_MAX;

/// The network grants of one program, and where what they refuse is remembered.
#[derive(Clone)]
pub(crate) struct Network(Arc<Granted>);

struct Granted {
    net: Vec<Peer>,
    listen: Vec<SocketAddr>,
    denials: Denials,
    /// Who sent datagrams to a program that listens: it may answer them.
    heard: Mutex<HashSet<SocketAddr>>,
}

impl Network {
    pub(crate) fn new(grants: &Grants, denials: Denials) -> Self {
        let (net, listen) = (grants.net.clone(), grants.listen.clone());
        Self(Arc::new(Granted { net, listen, denials, heard: Mutex::default() }))
    }

    /// Whether the program may use `address` so.
    pub(crate) async fn allows(self, address: SocketAddr, usage: SocketAddrUse) -> bool {
        let allowed = match usage {
            SocketAddrUse::TcpConnect => self.reaches(address).await,
            SocketAddrUse::UdpSend => self.heard(address) || self.reaches(address).await,
            // A reply comes from whom the program may send to; a request, to where it may listen.
            SocketAddrUse::UdpReceive => self.hears(address) || self.reaches(address).await,
            SocketAddrUse::TcpAccept => !self.0.listen.is_empty(),
            SocketAddrUse::TcpListen => self.listens(address),
            SocketAddrUse::TcpBind | SocketAddrUse::UdpBind => self.binds(address),
        };
        if !allowed {
            match usage {
                SocketAddrUse::TcpConnect | SocketAddrUse::UdpSend => {
                    self.0.denials.record(Denial::Connect(address));
                }
                SocketAddrUse::TcpBind | SocketAddrUse::UdpBind | SocketAddrUse::TcpListen => {
                    self.0.denials.record(Denial::Listen(address));
                }
                // The peer's doing, not the program's.
                SocketAddrUse::TcpAccept | SocketAddrUse::UdpReceive => {}
            }
        }
        allowed
    }

    /// Whether a program that listens may take a datagram from `address`, and answer it.
    fn hears(&self, address: SocketAddr) -> bool {
        if self.0.listen.is_empty() {
            return false;
        }
        let mut heard = self.0.heard.lock().unwrap_or_else(PoisonError::into_inner);
        // A flood of senders makes it forget those of before, not grow.
        if heard.len() >= UDP_PEERS_MAX {
            heard.clear();
        }
        heard.insert(address);
        true
    }

    fn heard(&self, address: SocketAddr) -> bool {
        self.0.heard.lock().unwrap_or_else(PoisonError::into_inner).contains(&address)
    }

    /// Whether some granted peer is at `address`, by its address or by what its name means now.
    async fn reaches(&self, address: SocketAddr) -> bool {
        let at_port = |peer: &&Peer| peer.port.is_none_or(|port| port == address.port());
        let ip = address.ip().to_canonical();
        for peer in self.0.net.iter().filter(at_port) {
            let found = match &peer.host {
                PeerHost::Any => true,
                PeerHost::Address(granted) => granted.to_canonical() == ip,
                PeerHost::Name(name) => resolves_to(name, ip).await,
            };
            if found {
                return true;
            }
        }
        false
    }

    /// A client binds to port 0. Before one that does not bind at all connects or sends, the question comes for it,
    /// with no address: that is no use of the network yet, and what follows is asked for by itself.
    fn binds(&self, address: SocketAddr) -> bool {
        let client = address.port() == 0 && (address.ip().is_unspecified() || !self.0.net.is_empty());
        client || self.0.listen.contains(&address)
    }

    /// As [`binds`](Self::binds), once the system has chosen a port where 0 was granted.
    fn listens(&self, address: SocketAddr) -> bool {
        let covers = |granted: &SocketAddr| {
            granted.ip() == address.ip() && (granted.port() == 0 || granted.port() == address.port())
        };
        self.0.listen.iter().any(covers)
    }

    /// Whether the program may look up `name`.
    fn looks_up(&self, name: &str) -> bool {
        let literal = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
        let allowed = literal || self.0.net.iter().any(|peer| peer.covers_host(name));
        if !allowed {
            self.0.denials.record(Denial::LookUp(name.to_owned()));
        }
        allowed
    }
}

async fn resolves_to(name: &str, ip: IpAddr) -> bool {
    if !PeerHost::may_mean(name, ip) {
        return false;
    }
    match tokio::net::lookup_host((name, 0)).await {
        Ok(mut addresses) => addresses.any(|found| found.ip().to_canonical() == ip),
        Err(_) => false,
    }
}

/// `wasi:sockets/ip-name-lookup`, for granted names only: a look-up tells the name to servers elsewhere.
pub(crate) struct Names;

pub(crate) struct NamesView<'a> {
    sockets: WasiSocketsCtxView<'a>,
    network: &'a Network,
}

impl HasData for Names {
    type Data<'a> = NamesView<'a>;
}

fn view(host: &mut Host) -> NamesView<'_> {
    let (sockets, network) = host.sockets_and_network();
    NamesView { sockets, network }
}

mod lookup_p2 {
    pub(super) use wasmtime_wasi::p2::SocketError;
    pub(super) use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::*;
    pub(super) use wasmtime_wasi::p2::bindings::sockets::network::{
        ErrorCode, Host as Errors, HostNetwork, IpAddress, Network,
    };
}

impl lookup_p2::Errors for NamesView<'_> {
    fn convert_error_code(
        &mut self,
        error: lookup_p2::SocketError,
    ) -> wasmtime::Result<lookup_p2::ErrorCode> {
        self.sockets.convert_error_code(error)
    }

    fn network_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<lookup_p2::ErrorCode>> {
        self.sockets.network_error_code(error)
    }
}

impl lookup_p2::HostNetwork for NamesView<'_> {
    fn drop(&mut self, network: Resource<lookup_p2::Network>) -> wasmtime::Result<()> {
        lookup_p2::HostNetwork::drop(&mut self.sockets, network)
    }
}

impl lookup_p2::Host for NamesView<'_> {
    fn resolve_addresses(
        &mut self,
        network: Resource<lookup_p2::Network>,
        name: String,
    ) -> Result<Resource<lookup_p2::ResolveAddressStream>, lookup_p2::SocketError> {
        if !self.network.looks_up(&name) {
            return Err(lookup_p2::ErrorCode::AccessDenied.into());
        }
        lookup_p2::Host::resolve_addresses(&mut self.sockets, network, name)
    }
}

impl lookup_p2::HostResolveAddressStream for NamesView<'_> {
    fn resolve_next_address(
        &mut self,
        stream: Resource<lookup_p2::ResolveAddressStream>,
    ) -> Result<Option<lookup_p2::IpAddress>, lookup_p2::SocketError> {
        lookup_p2::HostResolveAddressStream::resolve_next_address(&mut self.sockets, stream)
    }

    fn subscribe(
        &mut self,
        stream: Resource<lookup_p2::ResolveAddressStream>,
    ) -> wasmtime::Result<Resource<p2::DynPollable>> {
        lookup_p2::HostResolveAddressStream::subscribe(&mut self.sockets, stream)
    }

    fn drop(&mut self, stream: Resource<lookup_p2::ResolveAddressStream>) -> wasmtime::Result<()> {
        lookup_p2::HostResolveAddressStream::drop(&mut self.sockets, stream)
    }
}

mod lookup_p3 {
    pub(super) use wasmtime_wasi::p3::bindings::sockets::ip_name_lookup::*;
    pub(super) use wasmtime_wasi::p3::bindings::sockets::types::IpAddress;
}

impl lookup_p3::Host for NamesView<'_> {}

impl lookup_p3::HostWithStore<Host> for Names {
    async fn resolve_addresses(
        store: &Accessor<Host, Self>,
        name: String,
    ) -> wasmtime::Result<Result<Vec<lookup_p3::IpAddress>, lookup_p3::ErrorCode>> {
        if !store.with(|mut access| access.get().network.looks_up(&name)) {
            return Ok(Err(lookup_p3::ErrorCode::AccessDenied));
        }
        let sockets = store.with_getter::<WasiSockets>(Host::sockets);
        <WasiSockets as lookup_p3::HostWithStore<Host>>::resolve_addresses(&sockets, name).await
    }
}

/// Puts look-up of granted names in the place of WASI 0.2's look-up of any.
pub(crate) fn link_p2(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    p2::bindings::sockets::ip_name_lookup::add_to_linker::<_, Names>(linker, view)
}

/// Puts look-up of granted names in the place of WASI 0.3's look-up of any.
pub(crate) fn link_p3(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    p3::bindings::sockets::ip_name_lookup::add_to_linker::<_, Names>(linker, view)
}
