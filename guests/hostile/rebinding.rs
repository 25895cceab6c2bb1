//! The program has got a grant for a name whose addresses its accomplice answers for. The accomplice is the program
//! itself here: the file of names of the machine lies in its directory.
//!
//! tries: to reach this machine and the server that gives keys to machines in a cloud by changing what a granted name means, before and after it was looked up
//! must: at an outside address the name is reached, after each change too; at loopback, link-local and unspecified ones it is denied
//! through: unshare -rmn sh -c 'mount --bind hosts /etc/hosts && exec "$@"' sh "$@"
//! file hosts: 192.0.2.1 granted.test
//! sampan: --dir $DIR:/data --net granted.test:80 --http=granted.test:80
//! exit: 0
//! stdout: 192.0.2.1: looked up, TCP tried, UDP tried, HTTP tried
//! stdout: 127.0.0.1: looked up, TCP denied, UDP denied, HTTP denied
//! stdout: 127.9.9.9: looked up, TCP denied, UDP denied, HTTP denied
//! stdout: 169.254.169.254: looked up, TCP denied, UDP denied, HTTP denied
//! stdout: 0.0.0.0: looked up, TCP denied, UDP denied, HTTP denied
//! stdout: ::1: looked up, TCP denied, UDP denied, HTTP denied
//! stdout: fe80::1: looked up, TCP denied, UDP denied, HTTP denied
//! stdout: fd00:ec2::254: looked up, TCP denied, UDP denied, HTTP denied
//! stdout: 198.51.100.1: looked up, TCP tried, UDP tried, HTTP tried

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{Fields, OutgoingRequest, Scheme};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::ip_name_lookup::resolve_addresses;
use wasip2::sockets::network::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress,
};
use wasip2::sockets::tcp_create_socket::create_tcp_socket;
use wasip2::sockets::udp::OutgoingDatagram;
use wasip2::sockets::udp_create_socket::create_udp_socket;

const NAME: &str = "granted.test";

const ADDRESSES: [&str; 9] = [
    "192.0.2.1",
    "127.0.0.1",
    "127.9.9.9",
    "169.254.169.254",
    "0.0.0.0",
    "::1",
    "fe80::1",
    "fd00:ec2::254",
    "198.51.100.1",
];

fn main() {
    for address in ADDRESSES {
        fs::write("/data/hosts", format!("{address} {NAME}\n")).expect("the accomplice answers");
        let address: IpAddr = address.parse().expect("an address");
        let looked_up = if look_up() == Some(address) { "looked up" } else { "not looked up" };
        let tried = |denied: bool| if denied { "denied" } else { "tried" };
        let (tcp, udp, http) = (tried(connect(address)), tried(send(address)), tried(ask()));
        println!("{address}: {looked_up}, TCP {tcp}, UDP {udp}, HTTP {http}");
    }
}

/// What the name means now.
fn look_up() -> Option<IpAddr> {
    let addresses = resolve_addresses(&instance_network(), NAME).ok()?;
    loop {
        match addresses.resolve_next_address() {
            Err(ErrorCode::WouldBlock) => addresses.subscribe().block(),
            Ok(Some(IpAddress::Ipv4((a, b, c, d)))) => return Some(Ipv4Addr::new(a, b, c, d).into()),
            Ok(Some(IpAddress::Ipv6((a, b, c, d, e, f, g, h)))) => {
                return Some(Ipv6Addr::new(a, b, c, d, e, f, g, h).into());
            }
            _ => return None,
        }
    }
}

fn at(ip: IpAddr, port: u16) -> (IpAddressFamily, IpSocketAddress) {
    match ip {
        IpAddr::V4(ip) => {
            let address = Ipv4SocketAddress { port, address: ip.octets().into() };
            (IpAddressFamily::Ipv4, IpSocketAddress::Ipv4(address))
        }
        IpAddr::V6(ip) => {
            let (flow_info, scope_id) = (0, 0);
            let address = Ipv6SocketAddress { port, flow_info, address: ip.segments().into(), scope_id };
            (IpAddressFamily::Ipv6, IpSocketAddress::Ipv6(address))
        }
    }
}

/// Whether it was denied: an unspecified address is no address of a peer, which is as good.
fn is_denied<T>(done: Result<T, ErrorCode>) -> bool {
    matches!(done, Err(ErrorCode::AccessDenied | ErrorCode::InvalidArgument))
}

fn connect(ip: IpAddr) -> bool {
    let (family, peer) = at(ip, 80);
    let socket = create_tcp_socket(family).expect("a socket");
    is_denied(socket.start_connect(&instance_network(), peer).and_then(|()| {
        loop {
            match socket.finish_connect() {
                Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
                done => return done.map(drop),
            }
        }
    }))
}

fn send(ip: IpAddr) -> bool {
    let (family, peer) = at(ip, 80);
    let any =
        if ip.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    let socket = create_udp_socket(family).expect("a socket");
    socket.start_bind(&instance_network(), at(any, 0).1).expect("a client");
    socket.finish_bind().expect("a client");
    let (_input, output) = socket.stream(None).expect("streams");
    while output.check_send().expect("room") == 0 {
        output.subscribe().block();
    }
    is_denied(output.send(&[OutgoingDatagram { data: b"x".to_vec(), remote_address: Some(peer) }]))
}

fn ask() -> bool {
    let request = OutgoingRequest::new(Fields::new());
    request.set_scheme(Some(&Scheme::Http)).expect("a scheme");
    request.set_authority(Some(NAME)).expect("an authority");
    request.set_path_with_query(Some("/")).expect("a path");
    let response = match handle(request, None) {
        Ok(response) => response,
        Err(error) => return format!("{error:?}").contains("HttpRequestDenied"),
    };
    response.subscribe().block();
    let error = response.get().expect("ready").expect("once").expect_err("nobody is there");
    format!("{error:?}").contains("HttpRequestDenied")
}
