//! One attack: this process seals a copy of itself, which attacks, and tells in one line what became of it.

use std::net::TcpListener;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::path::Path;
use std::process::exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use engine::sealed::{Dir, Ending, Network, Plan, Side, split};
use engine::{Profile, Settings};

use crate::attacks::{ATTACKS, Grant, OUTLAST, Phase};
use crate::egress::OnePeer;
use crate::rate;
use crate::scene::VARIABLE;

/// The number of a descriptor that is left open, as a careless program does.
pub(crate) const LEFT_OPEN: i32 = 57;

/// Nothing here takes nearly as long.
const TIME_MAX: Duration = Duration::from_secs(60);

/// How long a process may take to end by itself, where its end is waited for.
const PATIENCE: Duration = Duration::from_millis(200);

/// The memory that the program may hold; its process may hold more.
const MEMORY_BYTES_MAX: usize = 16 << 20;

/// What an attack knows of the host.
pub(crate) struct Host {
    /// A port of TCP on which somebody listens.
    pub(crate) port: u16,
    /// Another one, to which some may connect.
    pub(crate) granted: u16,
    pub(crate) supervisor: i32,
}

/// Where the secret variable was in memory before the process was sealed.
pub(crate) static VARIABLE_AT: AtomicUsize = AtomicUsize::new(0);

/// Runs the attack called `name` on the scene in `dir`.
pub(crate) fn run(name: &str, phase: &str, dir: &Path) {
    let attack = ATTACKS.iter().find(|attack| attack.name == name).expect("an attack of the table");
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
    let [port, granted] = listeners.each_ref().map(|at| at.local_addr().expect("an address").port());
    let host = Host { port, granted, supervisor: std::process::id() as i32 };
    leave_open(&dir.join("secret"));
    VARIABLE_AT.store(variable(), Ordering::Relaxed);
    let mut settings = Settings::new(Profile::Sealed);
    settings.limits.memory_bytes_max = MEMORY_BYTES_MAX;
    let mut plan = Plan::new(&settings);
    match attack.grant {
        Grant::Nothing => {}
        Grant::Dirs => {
            let dir = |name: &str, read_only| Dir { path: dir.join(name), read_only };
            plan.dirs = vec![dir("granted", false), dir("read-only", true)];
        }
        Grant::OnePeer => plan.network = Network::Granted(Arc::new(OnePeer(host.granted))),
        Grant::OnePeerSlowly => {
            plan.network = Network::Granted(Arc::new(OnePeer(host.granted)));
            plan.egress_rate = Some(rate::RATE);
        }
    }
    let [_, peer] = listeners;
    let peer = rate::Peer::new(peer).expect("a port of UDP, too");
    match split(plan) {
        Ok(Side::Inside(inside)) => {
            if phase == Phase::Running.name() {
                inside.begin(false).expect("it begins");
            }
            println!("{}", (attack.attempt)(&host));
            exit(0);
        }
        Ok(Side::Outside(outside)) => {
            outside.layers().iter().for_each(|layer| eprintln!("{layer}"));
            // Whom nobody counts is still there.
            let counting = if attack.must == [rate::KEPT] { Some(peer.count()) } else { None };
            let ending = match attack.name {
                OUTLAST => outside.finish(PATIENCE).expect("its end can be waited for"),
                _ => outside.supervise(None, Some(TIME_MAX), None).expect("it can be supervised"),
            };
            match ending {
                Ending::Exited(0) if counting.is_some() => {
                    println!("{}", counting.map(rate::Counting::verdict).unwrap_or_default())
                }
                // It has said by itself what happened.
                Ending::Exited(0) => {}
                Ending::Memory(_) => println!("ended: memory"),
                Ending::Violation(call) => println!("ended: {call}"),
                Ending::Signal(signal) => println!("ended: signal {signal}"),
                ending => println!("ended: {ending:?}"),
            }
        }
        Err(error) => println!("not sealed: {error}: {error:?}"),
    }
}

fn leave_open(path: &Path) {
    let file = std::fs::File::open(path).expect("the secret can be read outside").into_raw_fd();
    // SAFETY: the numbers are those of descriptors, and nobody has the second one.
    unsafe { libc::dup2(file.as_raw_fd(), LEFT_OPEN) };
}

/// Where the value of the secret variable is.
fn variable() -> usize {
    let name = std::ffi::CString::new(VARIABLE).expect("a name");
    // SAFETY: the name ends in a zero, and nobody changes the environment.
    unsafe { libc::getenv(name.as_ptr()) }.addr()
}
