//! Programs written for one test, and the directory in which they run.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::child::{Ended, sampan};

/// A directory with `program.wat` in it.
pub(crate) struct Place {
    dir: TempDir,
}

impl Place {
    pub(crate) fn of(text: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory is made");
        std::fs::write(dir.path().join("program.wat"), text).expect("the program is written");
        Self { dir }
    }

    pub(crate) fn program(&self) -> PathBuf {
        self.dir.path().join("program.wat")
    }

    /// Runs the program with these flags.
    pub(crate) fn run(&self, flags: &[&str]) -> Ended {
        sampan(&[&["run"], flags].concat()).arg(self.program()).dir(self.dir.path()).run()
    }
}

/// A command that imports one function of WASI 0.1 and has one page of memory.
pub(crate) fn wasi(import: &str, memory: &str, body: &str) -> String {
    format!(
        "(module (import \"wasi_snapshot_preview1\" {import})
           (memory (export \"memory\") 1) {memory}
           (func (export \"_start\") {body}))"
    )
}

/// Writes 32 KiB without end.
pub(crate) fn flood(descriptor: u32) -> String {
    wasi(
        "\"fd_write\" (func $write (param i32 i32 i32 i32) (result i32))",
        "(data (i32.const 0) \"\\00\\80\\00\\00\\00\\80\\00\\00\")",
        &format!(
            "(memory.fill (i32.const 32768) (i32.const 97) (i32.const 32768))
             (loop (drop (call $write (i32.const {descriptor}) (i32.const 0) (i32.const 1) (i32.const 16))) (br 0))"
        ),
    )
}

/// A component of `levels`, each of `width` instances of the one below, with a module at the bottom and on top a
/// function `f` to call.
pub(crate) fn pyramid(levels: usize, width: usize) -> String {
    let module = "(core module $m (func (export \"f\"))) (core instance $i (instantiate $m))";
    let inside = (0..levels).fold(module.to_owned(), |inside, level| {
        let instances = format!("(instance (instantiate $c{level}))").repeat(width);
        format!("(component $c{level} {inside}) {instances}")
    });
    let top = if levels == 0 { "" } else { module };
    format!("(component {inside} {top} (func (export \"f\") (canon lift (core func $i \"f\"))))")
}
