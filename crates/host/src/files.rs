//! Files: which directories a program finds open when it starts.
//!
//! That no path leads out of them is the work of cap-std beneath `wasmtime-wasi`. Here is only what notices a
//! program that looks for files when it was granted none.

use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemCtxView, WasiFilesystemView};
use wasmtime_wasi::{p2, p3};

use engine::wasmtime;
use engine::wasmtime::component::{HasData, Linker, Resource};

use crate::Host;
use crate::denials::{Denial, Denials};

/// WASI 0.1's `EBADF`: the answer that ends a program's search for open directories.
const ERRNO_BADF: i32 = 8;

/// `wasi:filesystem/preopens`, noticed.
pub(crate) struct Preopens;

pub(crate) struct PreopensView<'a> {
    files: WasiFilesystemCtxView<'a>,
    denials: &'a Denials,
}

impl HasData for Preopens {
    type Data<'a> = PreopensView<'a>;
}

fn view(host: &mut Host) -> PreopensView<'_> {
    let (wasi, denials) = host.wasi_and_denials();
    PreopensView { files: wasi.filesystem(), denials }
}

impl PreopensView<'_> {
    fn notice(&self, found: &[(Resource<Descriptor>, String)]) {
        if found.is_empty() {
            self.denials.record(Denial::Directory);
        }
    }
}

impl p2::bindings::filesystem::preopens::Host for PreopensView<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let found = p2::bindings::filesystem::preopens::Host::get_directories(&mut self.files)?;
        self.notice(&found);
        Ok(found)
    }
}

impl p3::bindings::filesystem::preopens::Host for PreopensView<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let found = p3::bindings::filesystem::preopens::Host::get_directories(&mut self.files)?;
        self.notice(&found);
        Ok(found)
    }
}

/// Puts the noticing `preopens` of WASI 0.2 in the place of the plain one.
pub(crate) fn link_p2(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    p2::bindings::filesystem::preopens::add_to_linker::<_, Preopens>(linker, view)
}

/// Puts the noticing `preopens` of WASI 0.3 in the place of the plain one.
pub(crate) fn link_p3(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    p3::bindings::filesystem::preopens::add_to_linker::<_, Preopens>(linker, view)
}

/// Where no directory is granted, answers WASI 0.1's search for one, which is its first look at any path.
pub(crate) fn link_p1(linker: &mut wasmtime::Linker<Host>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "wasi_snapshot_preview1",
        "fd_prestat_get",
        |mut caller: wasmtime::Caller<'_, Host>, _fd: i32, _prestat: i32| {
            caller.data_mut().wasi_and_denials().1.record(Denial::Directory);
            ERRNO_BADF
        },
    )?;
    Ok(())
}
