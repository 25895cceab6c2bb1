//! What happens around a guest while it runs: the directive `host:`.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::symlink;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::http;
use crate::run::{Left, feed};
use crate::scene::Scene;
use crate::tls;

/// What the host does beside running the guest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Host {
    /// Gives it standard input, and reads what it writes.
    Nothing,
    /// Answers TCP connections with what they send.
    TcpEcho,
    /// Accepts TCP connections and closes them.
    TcpClose,
    /// Answers datagrams with themselves.
    UdpEcho,
    /// Answers HTTP requests.
    Http,
    /// The same, encrypted: with a certificate for `localhost`.
    Https,
    /// Connects to the port that the guest prints first, and wants an echo.
    TcpClient,
    /// Gives the next line only when the last one came back.
    LineByLine,
    /// Keeps standard input open, and gives nothing.
    HoldStdin,
    /// Reads one line and closes standard output.
    CloseStdout,
    /// Sends a signal after the first line.
    Signal(&'static str),
    /// Swaps the directory `swap` and a symbolic link to the outside, over and over.
    Swap,
}

const NAMES: [(&str, Host); 13] = [
    ("", Host::Nothing),
    ("tcp-echo", Host::TcpEcho),
    ("tcp-close", Host::TcpClose),
    ("udp-echo", Host::UdpEcho),
    ("http", Host::Http),
    ("https", Host::Https),
    ("tcp-client", Host::TcpClient),
    ("line-by-line", Host::LineByLine),
    ("hold-stdin", Host::HoldStdin),
    ("close-stdout", Host::CloseStdout),
    ("interrupt", Host::Signal("INT")),
    ("terminate", Host::Signal("TERM")),
    ("swap", Host::Swap),
];

/// A conversation that went wrong, with what the guest had said by then.
pub(crate) struct Failed {
    pub(crate) left: Left,
    pub(crate) reason: String,
}

impl Host {
    pub(crate) fn named(name: Option<&str>) -> Result<Self, String> {
        let name = name.unwrap_or_default();
        let found = NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, host)| *host).ok_or_else(|| format!("unknown `host: {name}`"))
    }

    /// Starts the server, if there is one, and returns its port. It serves until the tests end.
    pub(crate) fn serve(self) -> io::Result<u16> {
        if self == Host::UdpEcho {
            let socket = UdpSocket::bind("127.0.0.1:0")?;
            let port = socket.local_addr()?.port();
            thread::spawn(move || echo_datagrams(&socket));
            return Ok(port);
        }
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let answer: fn(TcpStream) -> io::Result<()> = match self {
            Host::TcpEcho => echo,
            Host::TcpClose => |_| Ok(()),
            Host::Http => |stream| http::answer(stream),
            Host::Https => |stream| http::answer(tls::accept(stream)),
            _ => return Ok(port),
        };
        thread::spawn(move || {
            // An error is the peer's business: it is what the guest under test sees.
            for stream in listener.incoming().flatten() {
                thread::spawn(move || answer(stream));
            }
        });
        Ok(port)
    }
}

fn echo(stream: TcpStream) -> io::Result<()> {
    io::copy(&mut &stream, &mut &stream)?;
    stream.shutdown(Shutdown::Write)
}

fn echo_datagrams(socket: &UdpSocket) -> io::Result<()> {
    let mut buffer = [0; 65_536];
    loop {
        let (length, peer) = socket.recv_from(&mut buffer)?;
        socket.send_to(&buffer[..length], peer)?;
    }
}

/// Plays the host's part until the guest has closed its streams.
pub(crate) fn play(host: Host, child: &mut Child, stdin: &[u8], scene: &Scene) -> Result<Left, Failed> {
    let mut stderr = child.stderr.take().expect("piped");
    let talk = thread::spawn(move || {
        let mut text = Vec::new();
        stderr.read_to_end(&mut text).map(|_| text)
    });
    let mut stdout = Vec::new();
    let played = converse(host, child, stdin, scene, &mut stdout);
    let stderr = talk.join().expect("reads only").unwrap_or_default();
    let left = Left { stdout, stderr };
    match played {
        Ok(()) => Ok(left),
        Err(error) => Err(Failed { left, reason: format!("  the host's part failed: {error}") }),
    }
}

fn converse(host: Host, child: &mut Child, input: &[u8], scene: &Scene, all: &mut Vec<u8>) -> io::Result<()> {
    let mut stdin = child.stdin.take().expect("piped");
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    match host {
        Host::LineByLine => {
            for line in input.split_inclusive(|byte| *byte == b'\n') {
                stdin.write_all(line)?;
                let from = all.len();
                stdout.read_until(b'\n', all)?;
                if all[from..] != *line {
                    return Err(io::Error::other("the line did not come back"));
                }
            }
            drop(stdin);
        }
        Host::HoldStdin => {
            stdout.read_to_end(all)?;
            drop(stdin);
        }
        Host::CloseStdout => {
            stdout.read_until(b'\n', all)?;
            return Ok(());
        }
        Host::Signal(name) => {
            stdout.read_until(b'\n', all)?;
            kill(child.id(), name);
            stdout.read_to_end(all)?;
        }
        Host::TcpClient => {
            drop(stdin);
            let mut port = String::new();
            stdout.read_line(&mut port)?;
            let port = port.trim().parse().map_err(|_| io::Error::other(format!("`{port}` is no port")))?;
            call(port)?;
        }
        Host::Swap => return swapping(scene, || stdout.read_to_end(all).map(drop)),
        Host::Nothing | Host::TcpEcho | Host::TcpClose | Host::UdpEcho | Host::Http | Host::Https => {
            return thread::scope(|scope| {
                scope.spawn(|| feed(stdin, input));
                stdout.read_to_end(all).map(drop)
            });
        }
    }
    stdout.read_to_end(all).map(drop)
}

/// Sends to the guest's server and wants the same back.
fn call(port: u16) -> io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(b"from outside")?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    match answer == b"from outside" {
        true => Ok(()),
        false => Err(io::Error::other("the guest's server answered otherwise")),
    }
}

/// While `work` goes on, `$DIR/swap` is in turn a directory and a symbolic link to `$OUT`.
fn swapping(scene: &Scene, work: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let [swap, real, link] = ["swap", "swap.real", "swap.link"].map(|name| scene.dir.join(name));
    symlink("../out", &link)?;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let swapper = scope.spawn(|| -> io::Result<()> {
            while !over.load(Ordering::Relaxed) {
                fs::rename(&swap, &real)?;
                fs::rename(&link, &swap)?;
                fs::rename(&swap, &link)?;
                fs::rename(&real, &swap)?;
            }
            Ok(())
        });
        let worked = work();
        over.store(true, Ordering::Relaxed);
        swapper.join().expect("renames only")?;
        worked
    })
}

/// Sends a signal; the shell has `kill` built in.
pub(crate) fn kill(process: u32, signal: &str) {
    let status = Command::new("sh").arg("-c").arg(format!("kill -{signal} {process}")).status();
    assert!(status.is_ok_and(|status| status.success()), "cannot send {signal} to process {process}");
}
