//! Sockets of WASI 0.2: what is granted works, and everything else is `access-denied`.
//!
//! source: WASI 0.2 wasi:sockets tcp, udp, ip-name-lookup: `access-denied` where the host does not permit the address
//! case: tcp: granted by address and port
//! sampan: --net 127.0.0.1:$PORT
//! host: tcp-echo
//! args: tcp 127.0.0.1:$PORT
//! exit: 0
//! stdout: echoed
//! case: tcp: granted by address, any port
//! sampan: --net 127.0.0.1:*
//! host: tcp-echo
//! args: tcp 127.0.0.1:$PORT
//! exit: 0
//! stdout: echoed
//! case: tcp: granted by name
//! sampan: --net localhost:$PORT
//! host: tcp-echo
//! args: tcp 127.0.0.1:$PORT
//! exit: 0
//! stdout: echoed
//! case: tcp: everything granted
//! sampan: --net *:*
//! host: tcp-echo
//! args: tcp 127.0.0.1:$PORT
//! exit: 0
//! stdout: echoed
//! case: tcp: nothing granted
//! host: tcp-echo
//! args: tcp 127.0.0.1:$PORT
//! exit: 1
//! stdout: access-denied
//! stderr~: hint: it was denied to send to 127.0.0.1:$PORT; `--net 127.0.0.1:$PORT` grants it
//! case: tcp: another port
//! sampan: --net 127.0.0.1:$PORT
//! host: tcp-echo
//! args: tcp 127.0.0.1:$OTHER
//! exit: 1
//! stdout: access-denied
//! stderr~: hint: it was denied to send to 127.0.0.1:$OTHER; `--net 127.0.0.1:$OTHER` grants it
//! case: tcp: another address
//! sampan: --net 127.0.0.1:$PORT
//! host: tcp-echo
//! args: tcp 127.0.0.2:$PORT
//! exit: 1
//! stdout: access-denied
//! stderr~: hint: it was denied to send to 127.0.0.2:$PORT; `--net 127.0.0.2:$PORT` grants it
//! case: tcp: a right to listen is none to connect
//! sampan: --listen 127.0.0.1:0
//! host: tcp-echo
//! args: tcp 127.0.0.1:$PORT
//! exit: 1
//! stdout: access-denied
//! stderr~: `--net 127.0.0.1:$PORT` grants it
//! case: tcp: nobody listens
//! sampan: --net 127.0.0.1:$PORT
//! args: tcp 127.0.0.1:$PORT
//! exit: 1
//! stdout: connection-refused
//! case: tcp: the peer goes away
//! sampan: --net 127.0.0.1:$PORT
//! host: tcp-close
//! args: tcp-flood 127.0.0.1:$PORT
//! exit: 0
//! stdout: lost
//! source: POSIX.1-2024 send: EPIPE; that of a socket must not end the program with SIGPIPE here
//! case: udp: granted
//! sampan: --net 127.0.0.1:$PORT
//! host: udp-echo
//! args: udp 127.0.0.1:$PORT
//! exit: 0
//! stdout: echoed
//! case: udp: nothing granted
//! host: udp-echo
//! args: udp 127.0.0.1:$PORT
//! exit: 1
//! stdout: access-denied
//! stderr~: hint: it was denied to send to 127.0.0.1:$PORT; `--net 127.0.0.1:$PORT` grants it
//! case: udp: another port
//! sampan: --net 127.0.0.1:$PORT
//! host: udp-echo
//! args: udp 127.0.0.1:$OTHER
//! exit: 1
//! stdout: access-denied
//! stderr~: `--net 127.0.0.1:$OTHER` grants it
//! case: listen: granted, on a port of the system's choice
//! sampan: --listen 127.0.0.1:0
//! host: tcp-client
//! args: listen 127.0.0.1:0
//! exit: 0
//! case: listen: nothing granted
//! args: listen 127.0.0.1:0
//! exit: 1
//! stdout: access-denied
//! stderr~: hint: it was denied to receive on 127.0.0.1:0; `--listen 127.0.0.1:0` grants it
//! case: listen: on another port
//! sampan: --listen 127.0.0.1:$PORT
//! args: listen 127.0.0.1:$OTHER
//! exit: 1
//! stdout: access-denied
//! stderr~: hint: it was denied to receive on 127.0.0.1:$OTHER; `--listen 127.0.0.1:$OTHER` grants it
//! case: listen: a right to connect is none to listen
//! sampan: --net 127.0.0.1:*
//! args: listen 127.0.0.1:0
//! exit: 1
//! stdout: access-denied
//! stderr~: hint: it was denied to receive on 127.0.0.1:
//! case: name: granted
//! sampan: --net localhost:*
//! args: name localhost
//! exit: 0
//! stdout: loopback
//! case: name: nothing granted
//! args: name localhost
//! exit: 1
//! stdout: access-denied
//! stderr~: hint: it was denied to look up `localhost`; `--net localhost:PORT` grants it
//! case: name: another one
//! sampan: --net localhost:*
//! args: name example.com
//! exit: 1
//! stdout: access-denied
//! stderr~: hint: it was denied to look up `example.com`; `--net example.com:PORT` grants it
//! case: name: an address is none, and tells nobody anything
//! args: name 127.0.0.1
//! exit: 0
//! stdout: loopback
//! case: name: none at all
//! sampan: --net *:*
//! args: name "no name"
//! exit: 1
//! stdout: invalid-argument

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::ExitCode;

use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::ip_name_lookup::resolve_addresses;
use wasip2::sockets::network::{ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
use wasip2::sockets::tcp::{ShutdownType, TcpSocket};
use wasip2::sockets::tcp_create_socket::create_tcp_socket;
use wasip2::sockets::udp::OutgoingDatagram;
use wasip2::sockets::udp_create_socket::create_udp_socket;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let done = match args[1].as_str() {
        "tcp" => tcp(address(&args[2])),
        "tcp-flood" => tcp_flood(address(&args[2])),
        "udp" => udp(address(&args[2])),
        "listen" => listen(address(&args[2])),
        "name" => name(&args[2]),
        other => panic!("no such case: {other}"),
    };
    match done {
        Ok("") => ExitCode::SUCCESS,
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{}", error.name());
            ExitCode::FAILURE
        }
    }
}

type Done = Result<&'static str, ErrorCode>;

fn address(text: &str) -> IpSocketAddress {
    let address: SocketAddrV4 = text.parse().expect("ADDRESS:PORT");
    let [a, b, c, d] = address.ip().octets();
    IpSocketAddress::Ipv4(Ipv4SocketAddress { port: address.port(), address: (a, b, c, d) })
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

fn tcp(peer: IpSocketAddress) -> Done {
    let socket = create_tcp_socket(IpAddressFamily::Ipv4)?;
    socket.start_connect(&instance_network(), peer)?;
    let (mut input, output) = finish(&socket, || socket.finish_connect())?;
    output.blocking_write_and_flush(b"over tcp").expect("sent");
    socket.shutdown(ShutdownType::Send)?;
    let mut answer = Vec::new();
    input.read_to_end(&mut answer).expect("received");
    assert_eq!(answer, b"over tcp");
    Ok("echoed")
}

fn tcp_flood(peer: IpSocketAddress) -> Done {
    let socket = create_tcp_socket(IpAddressFamily::Ipv4)?;
    socket.start_connect(&instance_network(), peer)?;
    let (_input, output) = finish(&socket, || socket.finish_connect())?;
    while output.blocking_write_and_flush(&[0; 4096]).is_ok() {}
    Ok("lost")
}

fn udp(peer: IpSocketAddress) -> Done {
    let socket = create_udp_socket(IpAddressFamily::Ipv4)?;
    socket.start_bind(&instance_network(), address("0.0.0.0:0"))?;
    socket.finish_bind()?;
    let (input, output) = socket.stream(None)?;
    while output.check_send()? == 0 {
        output.subscribe().block();
    }
    let datagram = OutgoingDatagram { data: b"over udp".to_vec(), remote_address: Some(peer) };
    assert_eq!(output.send(&[datagram])?, 1);
    loop {
        if let Some(answer) = input.receive(1)?.first() {
            assert_eq!(answer.data, b"over udp");
            return Ok("echoed");
        }
        input.subscribe().block();
    }
}

fn listen(local: IpSocketAddress) -> Done {
    let socket = create_tcp_socket(IpAddressFamily::Ipv4)?;
    socket.start_bind(&instance_network(), local)?;
    finish(&socket, || socket.finish_bind())?;
    socket.start_listen()?;
    finish(&socket, || socket.finish_listen())?;
    let IpSocketAddress::Ipv4(bound) = socket.local_address()? else { panic!("not IPv4") };
    println!("{}", bound.port);
    let (client, mut input, output) = finish(&socket, || socket.accept())?;
    let mut request = Vec::new();
    input.read_to_end(&mut request).expect("received");
    output.blocking_write_and_flush(&request).expect("sent");
    client.shutdown(ShutdownType::Send)?;
    Ok("")
}

fn name(name: &str) -> Done {
    let addresses = resolve_addresses(&instance_network(), name)?;
    let mut found = Vec::new();
    loop {
        match addresses.resolve_next_address() {
            Ok(Some(address)) => found.push(address),
            Ok(None) => break,
            Err(ErrorCode::WouldBlock) => addresses.subscribe().block(),
            Err(error) => return Err(error),
        }
    }
    let is_loopback = |address: &IpAddress| match *address {
        IpAddress::Ipv4((a, b, c, d)) => Ipv4Addr::new(a, b, c, d).is_loopback(),
        IpAddress::Ipv6(address) => address == (0, 0, 0, 0, 0, 0, 0, 1),
    };
    assert!(!found.is_empty() && found.iter().all(is_loopback), "{found:?}");
    Ok("loopback")
}
