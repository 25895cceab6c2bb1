//! Sockets of WASI 0.3: what is granted works, and everything else is `access-denied`.
//!
//! source: WASI 0.3 wasi:sockets types, ip-name-lookup: `access-denied` where the host does not permit the address
//! case: tcp: granted by address and port
//! sampan: --net 127.0.0.1:$PORT
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
//! case: tcp: nothing granted
//! host: tcp-echo
//! args: tcp 127.0.0.1:$PORT
//! exit: 1
//! stdout: ErrorCode::AccessDenied
//! stderr~: hint: it was denied to send to 127.0.0.1:$PORT; `--net 127.0.0.1:$PORT` grants it
//! case: tcp: another port
//! sampan: --net 127.0.0.1:$PORT
//! host: tcp-echo
//! args: tcp 127.0.0.1:$OTHER
//! exit: 1
//! stdout: ErrorCode::AccessDenied
//! stderr~: hint: it was denied to send to 127.0.0.1:$OTHER; `--net 127.0.0.1:$OTHER` grants it
//! case: tcp: nobody listens
//! sampan: --net 127.0.0.1:$PORT
//! args: tcp 127.0.0.1:$PORT
//! exit: 1
//! stdout: ErrorCode::ConnectionRefused
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
//! stdout: ErrorCode::AccessDenied
//! stderr~: hint: it was denied to send to 127.0.0.1:$PORT; `--net 127.0.0.1:$PORT` grants it
//! case: udp: another port
//! sampan: --net 127.0.0.1:$PORT
//! host: udp-echo
//! args: udp 127.0.0.1:$OTHER
//! exit: 1
//! stdout: ErrorCode::AccessDenied
//! stderr~: `--net 127.0.0.1:$OTHER` grants it
//! case: listen: granted, on a port of the system's choice
//! sampan: --listen 127.0.0.1:0
//! host: tcp-client
//! args: listen 127.0.0.1:0
//! exit: 0
//! case: listen: nothing granted
//! args: listen 127.0.0.1:0
//! exit: 1
//! stdout: ErrorCode::AccessDenied
//! stderr~: hint: it was denied to receive on 127.0.0.1:0; `--listen 127.0.0.1:0` grants it
//! case: listen: on another port
//! sampan: --listen 127.0.0.1:$PORT
//! args: listen 127.0.0.1:$OTHER
//! exit: 1
//! stdout: ErrorCode::AccessDenied
//! stderr~: hint: it was denied to receive on 127.0.0.1:$OTHER; `--listen 127.0.0.1:$OTHER` grants it
//! case: listen: a right to connect is none to listen
//! sampan: --net 127.0.0.1:*
//! args: listen 127.0.0.1:0
//! exit: 1
//! stdout: ErrorCode::AccessDenied
//! stderr~: hint: it was denied to receive on 127.0.0.1:
//! case: name: granted
//! sampan: --net localhost:*
//! args: name localhost
//! exit: 0
//! stdout: loopback
//! case: name: nothing granted
//! args: name localhost
//! exit: 1
//! stdout: ErrorCode::AccessDenied
//! stderr~: hint: it was denied to look up `localhost`; `--net localhost:PORT` grants it
//! case: name: another one
//! sampan: --net localhost:*
//! args: name example.com
//! exit: 1
//! stdout: ErrorCode::AccessDenied
//! stderr~: hint: it was denied to look up `example.com`; `--net example.com:PORT` grants it
//! case: name: an address is none, and tells nobody anything
//! args: name 127.0.0.1
//! exit: 0
//! stdout: loopback

use std::net::{Ipv4Addr, SocketAddrV4};

use wasip3::sockets::ip_name_lookup::{self, resolve_addresses};
use wasip3::sockets::types::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, TcpSocket, UdpSocket,
};

struct Net;

wasip3::cli::command::export!(Net);

impl wasip3::exports::cli::run::Guest for Net {
    async fn run() -> Result<(), ()> {
        let args = wasip3::cli::environment::get_arguments();
        let done = match args[1].as_str() {
            "tcp" => tcp(address(&args[2])).await.map_err(|error| format!("{error:?}")),
            "tcp-flood" => tcp_flood(address(&args[2])).await.map_err(|error| format!("{error:?}")),
            "udp" => udp(address(&args[2])).await.map_err(|error| format!("{error:?}")),
            "listen" => listen(address(&args[2])).await.map_err(|error| format!("{error:?}")),
            "name" => name(&args[2]).await.map_err(|error| format!("{error:?}")),
            other => panic!("no such case: {other}"),
        };
        match done {
            Ok("") => Ok(()),
            Ok(said) => {
                p3::print(format!("{said}\n")).await;
                Ok(())
            }
            Err(error) => {
                p3::print(format!("{error}\n")).await;
                Err(())
            }
        }
    }
}

type Done = Result<&'static str, ErrorCode>;

fn address(text: &str) -> IpSocketAddress {
    let address: SocketAddrV4 = text.parse().expect("ADDRESS:PORT");
    let [a, b, c, d] = address.ip().octets();
    IpSocketAddress::Ipv4(Ipv4SocketAddress { port: address.port(), address: (a, b, c, d) })
}

async fn tcp(peer: IpSocketAddress) -> Done {
    let socket = TcpSocket::create(IpAddressFamily::Ipv4)?;
    socket.connect(peer).await?;
    let (bytes, write) = p3::stream(b"over tcp".to_vec());
    let (sent, ()) = futures::join!(async { socket.send(bytes).await }, write);
    sent?;
    let (answer, ended) = socket.receive();
    assert_eq!(answer.collect().await, b"over tcp");
    ended.await?;
    Ok("echoed")
}

async fn tcp_flood(peer: IpSocketAddress) -> Done {
    let socket = TcpSocket::create(IpAddressFamily::Ipv4)?;
    socket.connect(peer).await?;
    let (mut writer, bytes) = wasip3::wit_stream::new();
    let write = async move { while writer.write_all(vec![0; 4096]).await.is_empty() {} };
    let (sent, ()) = futures::join!(async { socket.send(bytes).await }, write);
    Ok(if sent.is_err() { "lost" } else { "sent" })
}

async fn udp(peer: IpSocketAddress) -> Done {
    let socket = UdpSocket::create(IpAddressFamily::Ipv4)?;
    socket.send(b"over udp".to_vec(), Some(peer)).await?;
    let (answer, _from) = socket.receive().await?;
    assert_eq!(answer, b"over udp");
    Ok("echoed")
}

async fn listen(local: IpSocketAddress) -> Done {
    let socket = TcpSocket::create(IpAddressFamily::Ipv4)?;
    socket.bind(local)?;
    let mut clients = socket.listen()?;
    let IpSocketAddress::Ipv4(bound) = socket.get_local_address()? else { panic!("not IPv4") };
    p3::print(format!("{}\n", bound.port)).await;
    let client = clients.next().await.expect("a client");
    let (request, ended) = client.receive();
    let (bytes, write) = p3::stream(request.collect().await);
    ended.await?;
    let (sent, ()) = futures::join!(async { client.send(bytes).await }, write);
    sent?;
    Ok("")
}

async fn name(name: &str) -> Result<&'static str, ip_name_lookup::ErrorCode> {
    let found = resolve_addresses(name.to_owned()).await?;
    let is_loopback = |address: &IpAddress| match *address {
        IpAddress::Ipv4((a, b, c, d)) => Ipv4Addr::new(a, b, c, d).is_loopback(),
        IpAddress::Ipv6(address) => address == (0, 0, 0, 0, 0, 0, 0, 1),
    };
    assert!(!found.is_empty() && found.iter().all(is_loopback), "{found:?}");
    Ok("loopback")
}
