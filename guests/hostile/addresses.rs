//! Every way to write an address that was not granted, of this machine, its neighbours, and the server that gives keys to
//! machines in a cloud.
//!
//! tries: to reach loopback, link-local, metadata, mapped and unspecified addresses over TCP and UDP, and by names that a resolver takes for addresses, to listen unasked, and to hide a server in a URL's authority
//! must: each is denied before a packet leaves; beside the one address that was granted, which is reached
//! host: http
//! exit: 0
//! case: sockets, nothing granted
//! args: sockets $PORT $OTHER
//! stdout: 38 ways to connect and send, none reached
//! stdout: 16 names, none looked up
//! stdout: 4 addresses to listen on, none listened on
//! case: sockets, beside a grant
//! sampan: --net 127.0.0.1:$PORT
//! args: sockets $PORT $OTHER granted
//! stdout: the granted server is reached
//! stdout: 38 ways to connect and send, none reached
//! stdout: 16 names, none looked up
//! stdout: 4 addresses to listen on, none listened on
//! case: HTTP, nothing granted
//! args: http $PORT $OTHER
//! stdout: 20 servers, none reached
//! case: HTTP, beside a grant
//! sampan: --http=127.0.0.1:$PORT
//! args: http $PORT $OTHER granted
//! stdout: the granted server is reached
//! stdout: 20 servers, none reached
//! case: HTTP, beside a grant by name
//! sampan: --http=localhost:$PORT
//! args: http $PORT $OTHER
//! stdout: 20 servers, none reached

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;

use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{Fields, OutgoingBody, OutgoingRequest, Scheme};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::ip_name_lookup::resolve_addresses;
use wasip2::sockets::network::{
    ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress,
};
use wasip2::sockets::tcp::TcpSocket;
use wasip2::sockets::tcp_create_socket::create_tcp_socket;
use wasip2::sockets::udp::OutgoingDatagram;
use wasip2::sockets::udp_create_socket::create_udp_socket;

/// Somebody listens at `OTHER`, on 127.0.0.1 only.
const ADDRESSES: [&str; 19] = [
    "127.0.0.1:OTHER",
    "127.0.0.2:OTHER",
    "127.0.0.2:PORT",
    "127.255.255.254:PORT",
    "0.0.0.0:OTHER",
    "0.0.0.0:PORT",
    "169.254.169.254:80",
    "169.254.170.2:80",
    "10.0.0.1:80",
    "192.168.0.1:80",
    "224.0.0.1:OTHER",
    "255.255.255.255:OTHER",
    "[::1]:PORT",
    "[::]:PORT",
    "[::ffff:127.0.0.1]:OTHER",
    "[::ffff:169.254.169.254]:80",
    "[::127.0.0.1]:OTHER",
    "[fe80::1]:80",
    "[fd00:ec2::254]:80",
];

/// What a resolver of C takes for 127.0.0.1 or for 169.254.169.254, and some true names of theirs.
const NAMES: [&str; 16] = [
    "127.1",
    "127.0.1",
    "0177.0.0.1",
    "0x7f.0.0.1",
    "0x7f000001",
    "2130706433",
    "017700000001",
    "0",
    "127.0.0.1.",
    "2852039166",
    "0xa9fea9fe",
    "localhost",
    "LOCALHOST.",
    "a.localhost",
    "metadata.google.internal",
    "127.0.0.1\0.example.com",
];

const SERVERS: [&str; 20] = [
    "127.0.0.1:OTHER",
    "127.0.0.1.:OTHER",
    "127.0.0.2:PORT",
    "127.1:OTHER",
    "0177.0.0.1:OTHER",
    "0x7f000001:OTHER",
    "2130706433:OTHER",
    "0:OTHER",
    "0.0.0.0:OTHER",
    "localhost:OTHER",
    "LOCALHOST:OTHER",
    "[::1]:OTHER",
    "[::ffff:127.0.0.1]:OTHER",
    "[::ffff:7f00:1]:OTHER",
    "169.254.169.254",
    "[::ffff:169.254.169.254]",
    "metadata.google.internal",
    // The granted server as a user's name.
    "127.0.0.1:PORT@127.0.0.1:OTHER",
    "127.0.0.1@127.0.0.1:OTHER",
    // A function of an app, where there is no app.
    "lab.sampan.internal",
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let filled = |text: &str| text.replace("PORT", &args[2]).replace("OTHER", &args[3]);
    let granted = args.get(4).map(|_| filled("127.0.0.1:PORT"));
    let mut reached = Vec::new();
    if args[1] == "http" {
        if let Some(server) = granted {
            ask(&server).expect("what was granted is reached");
            println!("the granted server is reached");
        }
        reached.extend(SERVERS.iter().map(|server| filled(server)).filter(|server| ask(server).is_ok()));
        report(SERVERS.len(), "servers", &reached, "none reached")
    } else {
        if let Some(address) = granted {
            connect(&address).expect("what was granted is reached");
            println!("the granted server is reached");
        }
        for address in ADDRESSES.map(filled) {
            for way in [connect, send] {
                match way(&address) {
                    // What cannot be an address of a peer is not even asked for.
                    Err(ErrorCode::AccessDenied | ErrorCode::InvalidArgument) => {}
                    other => reached.push(format!("{address}: {other:?}")),
                }
            }
        }
        let connected = report(2 * ADDRESSES.len(), "ways to connect and send", &reached, "none reached");
        let found: Vec<_> = NAMES.iter().filter(|name| look_up(name).is_ok()).collect();
        let named = report(NAMES.len(), "names", &found, "none looked up");
        let own = ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "0.0.0.0:80"];
        let heard: Vec<_> = own.iter().filter(|address| listen(address).is_ok()).collect();
        let listened = report(own.len(), "addresses to listen on", &heard, "none listened on");
        [connected, named, listened].into_iter().find(|code| *code != ExitCode::SUCCESS).unwrap_or(connected)
    }
}

fn report(count: usize, what: &str, through: &[impl std::fmt::Debug], none: &str) -> ExitCode {
    if through.is_empty() {
        println!("{count} {what}, {none}");
        return ExitCode::SUCCESS;
    }
    println!("{count} {what}, but {through:?}");
    ExitCode::FAILURE
}

fn address(text: &str) -> IpSocketAddress {
    let address: SocketAddr = text.parse().expect("ADDRESS:PORT");
    match address {
        SocketAddr::V4(address) => IpSocketAddress::Ipv4(Ipv4SocketAddress {
            port: address.port(),
            address: address.ip().octets().into(),
        }),
        SocketAddr::V6(address) => IpSocketAddress::Ipv6(Ipv6SocketAddress {
            port: address.port(),
            flow_info: 0,
            address: address.ip().segments().into(),
            scope_id: 0,
        }),
    }
}

fn family(address: &IpSocketAddress) -> IpAddressFamily {
    match address {
        IpSocketAddress::Ipv4(_) => IpAddressFamily::Ipv4,
        IpSocketAddress::Ipv6(_) => IpAddressFamily::Ipv6,
    }
}

/// Waits for what is not ready yet.
fn finish<T>(socket: &TcpSocket, mut step: impl FnMut() -> Result<T, ErrorCode>) -> Result<T, ErrorCode> {
    loop {
        match step() {
            Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
            done => return done,
        }
    }
}

fn connect(peer: &str) -> Result<(), ErrorCode> {
    let peer = address(peer);
    let socket = create_tcp_socket(family(&peer))?;
    socket.start_connect(&instance_network(), peer)?;
    finish(&socket, || socket.finish_connect()).map(drop)
}

fn send(peer: &str) -> Result<(), ErrorCode> {
    let peer = address(peer);
    let socket = create_udp_socket(family(&peer))?;
    let any = match peer {
        IpSocketAddress::Ipv4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        IpSocketAddress::Ipv6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    socket.start_bind(&instance_network(), address(&any.to_string()))?;
    socket.finish_bind()?;
    let (_input, output) = socket.stream(None)?;
    while output.check_send()? == 0 {
        output.subscribe().block();
    }
    output.send(&[OutgoingDatagram { data: b"x".to_vec(), remote_address: Some(peer) }]).map(drop)
}

fn look_up(name: &str) -> Result<(), ErrorCode> {
    let addresses = resolve_addresses(&instance_network(), name)?;
    loop {
        match addresses.resolve_next_address() {
            Err(ErrorCode::WouldBlock) => addresses.subscribe().block(),
            done => return done.map(drop),
        }
    }
}

fn listen(local: &str) -> Result<(), ErrorCode> {
    let local = address(local);
    let socket = create_tcp_socket(family(&local))?;
    socket.start_bind(&instance_network(), local)?;
    finish(&socket, || socket.finish_bind())?;
    socket.start_listen()?;
    finish(&socket, || socket.finish_listen())
}

/// Any answer is an error here, and so is every failure but that to be denied, or to be no server.
fn ask(server: &str) -> Result<(), String> {
    let request = OutgoingRequest::new(Fields::new());
    request.set_scheme(Some(&Scheme::Http)).map_err(|()| "scheme")?;
    request.set_authority(Some(server)).map_err(|()| "authority")?;
    request.set_path_with_query(Some("/hello")).map_err(|()| "path")?;
    let body = request.body().map_err(|()| "body")?;
    let response = match handle(request, None) {
        Ok(response) => response,
        Err(error) => return denied(server, &format!("{error:?}")),
    };
    // The server may have gone.
    let _ = OutgoingBody::finish(body, None);
    response.subscribe().block();
    match response.get().expect("ready").expect("once") {
        Ok(_) => Ok(()),
        Err(error) => denied(server, &format!("{error:?}")),
    }
}

fn denied(server: &str, error: &str) -> Result<(), String> {
    match error.contains("HttpRequestDenied") || error.contains("HttpRequestUriInvalid") {
        true => Err(error.to_owned()),
        false => {
            println!("{server}: {error}");
            Ok(())
        }
    }
}
