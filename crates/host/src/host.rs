//! What stands behind one running program: its grants made real, and the meter of its memory.

use std::io::{Write, stderr};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use engine::wasmtime::component::{HasData, ResourceTable};
use engine::{Limits, Meter, Metered};
use tokio::sync::Semaphore;
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};
use wasmtime_wasi::sockets::{WasiSocketsCtxView, WasiSocketsView};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};
use wasmtime_wasi_tls::{WasiTlsCtx, WasiTlsCtxView, WasiTlsView};

use crate::Bindings;
use crate::bindings::{Call, Level, Next, told};
use crate::denials::Denials;
use crate::grants::Grants;
use crate::http::Outgoing;
use crate::limits::{CALLS_PENDING_MAX, OBJECTS_WRITTEN_MAX, RANDOM_BYTES_MAX};
use crate::middleware::Passing;
use crate::net::Network;
use crate::output::Output;

/// Where a program's standard streams lead.
#[derive(Clone, Debug, Default)]
pub enum Stdio {
    /// Nowhere: input is at its end, output is dropped.
    #[default]
    Null,
    /// To those of this process.
    Inherit,
    /// To the log of [`Bindings`]; input is at its end.
    Log,
    /// Standard input and output to these bytes, standard error to the log of [`Bindings`].
    Bytes {
        /// What the program reads.
        input: Bytes,
        /// What it writes, up to the capacity of the pipe.
        output: MemoryOutputPipe,
    },
}

/// The data of one program's store: everything that its imports can reach.
pub struct Host {
    wasi: WasiP1Ctx,
    http: WasiHttpCtx,
    outgoing: Outgoing,
    passing: Passing,
    /// Made at the first use.
    tls: Option<WasiTlsCtx>,
    stdio: Stdio,
    network: Network,
    denials: Denials,
    bindings: Option<Arc<Bindings>>,
    call: Option<Call>,
    /// Room for the calls that the program begins.
    calls: Arc<Semaphore>,
    /// Room for the objects that the program writes.
    objects: Arc<Semaphore>,
    meter: Meter,
}

/// What the interfaces that an app binds see of a host.
pub(crate) struct AppView<'a> {
    /// `None` for a program that is run by itself.
    pub(crate) bindings: Option<&'a Bindings>,
    pub(crate) call: Option<Call>,
    pub(crate) calls: &'a Arc<Semaphore>,
    pub(crate) objects: &'a Arc<Semaphore>,
    pub(crate) denials: &'a Denials,
    pub(crate) table: &'a mut ResourceTable,
}

impl AppView<'_> {
    /// What the program is told of an error of the state.
    pub(crate) fn told(&self, error: &state::Error) -> String {
        self.bindings.map_or_else(|| error.to_string(), |bindings| told(&*bindings.log, error))
    }
}

/// The key to [`AppView`].
pub(crate) struct App;

impl HasData for App {
    type Data<'a> = AppView<'a>;
}

/// A granted directory that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot open directory `{}`", path.display())]
pub struct DirError {
    /// The directory.
    pub path: PathBuf,
    /// What the operating system said.
    pub source: std::io::Error,
}

impl Host {
    /// A host that gives a program its arguments (the program's own name first), its streams, its `grants`, and no
    /// more than `limits` allow.
    ///
    /// # Errors
    /// When a granted directory cannot be opened.
    pub fn new(args: &[String], stdio: Stdio, grants: &Grants, limits: &Limits) -> Result<Self, DirError> {
        let denials = Denials::new(grants.bindings.as_ref().map(|bindings| Arc::clone(&bindings.log)));
        let network = Network::new(grants, denials.clone());
        let check = network.clone();
        let mut wasi = WasiCtx::builder();
        wasi.args(args)
            .envs(&grants.env)
            .max_random_size(RANDOM_BYTES_MAX)
            // One program, one thread: its blocking reads and writes block nobody else.
            .allow_blocking_current_thread(true)
            .allow_tcp(true)
            .allow_udp(true)
            .allow_ip_name_lookup(true)
            .socket_addr_check(move |address, usage| Box::pin(check.clone().allows(address, usage)));
        let to_log = |level| Some(Output { log: Arc::clone(&grants.bindings.as_ref()?.log), level });
        match &stdio {
            Stdio::Null => {}
            Stdio::Inherit => drop(wasi.inherit_stdio()),
            Stdio::Log => {
                if let Some(output) = to_log(Level::Info) {
                    wasi.stdout(output);
                }
            }
            Stdio::Bytes { input, output } => {
                wasi.stdin(MemoryInputPipe::new(input.clone())).stdout(output.clone());
            }
        }
        if let (Stdio::Log | Stdio::Bytes { .. }, Some(output)) = (&stdio, to_log(Level::Warn)) {
            wasi.stderr(output);
        }
        for dir in &grants.dirs {
            let permissions = if dir.read_only { FsPerms::ReadOnly } else { FsPerms::ReadWrite };
            wasi.preopened_dir(&dir.host, &dir.guest, permissions).map_err(|error| DirError {
                path: dir.host.clone(),
                source: error.downcast().unwrap_or_else(std::io::Error::other),
            })?;
        }
        let mut wasi = wasi.build_p1();
        wasi.ctx().table.set_max_capacity(limits.handles_max);
        Ok(Self {
            wasi,
            http: WasiHttpCtx::new(),
            outgoing: Outgoing {
                granted: grants.http.clone(),
                authorities: grants.authorities.clone(),
                bindings: grants.bindings.clone(),
                call: None,
                denials: denials.clone(),
            },
            passing: Passing::default(),
            tls: None,
            stdio,
            network,
            denials,
            bindings: grants.bindings.clone(),
            call: None,
            calls: Arc::new(Semaphore::new(CALLS_PENDING_MAX)),
            objects: Arc::new(Semaphore::new(OBJECTS_WRITTEN_MAX)),
            meter: Meter::new(limits),
        })
    }

    /// Makes what follows a part of `call`. What it passes on of a request goes to `next`.
    pub fn serve(&mut self, call: Call, next: Option<Arc<dyn Next>>) {
        self.call = Some(call);
        self.outgoing.call = Some(call);
        self.passing.to = next.map(|next| (call, next));
    }

    /// What the program asked for and was denied so far.
    pub fn denials(&self) -> &Denials {
        &self.denials
    }

    /// Takes one line that the program logs.
    pub(crate) fn log(&self, level: Level, line: &str) {
        match (&self.stdio, &self.bindings) {
            // As with the program's own writes: nobody is told that standard error is closed.
            (Stdio::Inherit, _) => drop(stderr().write_all(format!("{line}\n").as_bytes())),
            (Stdio::Log | Stdio::Bytes { .. }, Some(bindings)) => bindings.log.line(level, line),
            _ => {}
        }
    }

    pub(crate) fn wasi(&mut self) -> &mut WasiP1Ctx {
        &mut self.wasi
    }

    pub(crate) fn wasi_and_denials(&mut self) -> (&mut WasiP1Ctx, &Denials) {
        (&mut self.wasi, &self.denials)
    }

    /// HTTP as middleware sees it: what is sent is passed on.
    pub(crate) fn passing(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.passing, table: table(&mut self.wasi), ctx: &mut self.http }
    }

    pub(crate) fn app(&mut self) -> AppView<'_> {
        AppView {
            bindings: self.bindings.as_deref(),
            call: self.call,
            calls: &self.calls,
            objects: &self.objects,
            denials: &self.denials,
            table: table(&mut self.wasi),
        }
    }

    pub(crate) fn sockets_and_network(&mut self) -> (WasiSocketsCtxView<'_>, &Network) {
        (self.wasi.sockets(), &self.network)
    }
}

impl Metered for Host {
    fn meter(&mut self) -> &mut Meter {
        &mut self.meter
    }
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.wasi.ctx()
    }
}

impl WasiHttpView for Host {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.outgoing, table: table(&mut self.wasi), ctx: &mut self.http }
    }
}

impl WasiTlsView for Host {
    fn tls(&mut self) -> WasiTlsCtxView<'_> {
        let ctx = self.tls.get_or_insert_with(|| self.outgoing.authorities.context());
        WasiTlsCtxView { table: table(&mut self.wasi), ctx }
    }
}

fn table(wasi: &mut WasiP1Ctx) -> &mut ResourceTable {
    wasi.ctx().table
}
