//! A client of the draft of WASI 0.3 TLS: HTTP by hand, over an encrypted stream.
//!
//! source: wasi:tls 0.3.0-draft client: `connect` performs the handshake for a server name
//! host: https
//! sampan: --net localhost:$PORT
//! case: by an authority that is trusted
//! env: SSL_CERT_FILE=$AUTHORITY
//! args: $PORT localhost
//! exit: 0
//! stdout: hello from the server
//! case: by an authority that is not trusted
//! args: $PORT localhost
//! exit: 1
//! stdout~: failed: invalid peer certificate
//! case: by a server of another name
//! env: SSL_CERT_FILE=$AUTHORITY
//! args: $PORT example.com
//! exit: 1
//! stdout~: failed: invalid peer certificate

use wasip3::sockets::types::{IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, TcpSocket};

wit_bindgen::generate!({ world: "encrypted", path: "wit", generate_all });

use wasi::tls::client::Connector;

struct Tls;

wasip3::cli::command::export!(Tls);

impl wasip3::exports::cli::run::Guest for Tls {
    async fn run() -> Result<(), ()> {
        let args = wasip3::cli::environment::get_arguments();
        let port = args[1].parse().expect("a port");
        match get(port, &args[2]).await {
            Ok(answer) => {
                p3::print(answer).await;
                Ok(())
            }
            Err(reason) => {
                p3::print(format!("failed: {reason}\n")).await;
                Err(())
            }
        }
    }
}

/// The body of the answer to `GET /hello`.
async fn get(port: u16, name: &str) -> Result<String, String> {
    let socket = TcpSocket::create(IpAddressFamily::Ipv4).expect("a socket");
    let server = IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: (127, 0, 0, 1) });
    socket.connect(server).await.expect("granted");

    let connector = Connector::new();
    let (mut clear, cleartext) = wit_stream::new();
    let (ciphertext, _sent) = connector.send(cleartext);
    let (received, _) = socket.receive();
    let (answer, _received) = connector.receive(received);
    let talk = async {
        Connector::connect(connector, name.to_owned()).await.map_err(|error| error.to_debug_string())?;
        let request = format!("GET /hello HTTP/1.1\r\nhost: {name}\r\nconnection: close\r\n\r\n");
        clear.write_all(request.into_bytes()).await;
        let answer = answer.collect().await;
        drop(clear);
        Ok::<_, String>(answer)
    };
    let (_, answer) = futures::join!(async { socket.send(ciphertext).await }, talk);
    let answer = String::from_utf8(answer?).map_err(|error| error.to_string())?;
    Ok(answer.split_once("\r\n\r\n").map_or(answer.clone(), |(_, body)| body.to_owned()))
}
