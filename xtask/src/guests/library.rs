//! Libraries of C that programs are compiled with: their sources come with crates, which are fetched and not compiled.

use super::c;
use crate::registry::{Registry, fetch};
use anyhow::{Context, Result};
use std::process::Command;

/// The crate that has the sources of zlib.
pub(crate) const ZLIB: (&str, &str) = ("libz-sys", "1.1.23");

/// A library and how it is compiled.
pub(super) struct Library {
    name: &'static str,
    package: (&'static str, &'static str),
    /// Where the sources lie in the crate.
    directory: &'static str,
    files: &'static [&'static str],
    flags: &'static [&'static str],
}

const LIBRARIES: [Library; 3] = [
    Library {
        name: "zlib",
        package: ZLIB,
        directory: "src/zlib",
        // The part of it that knows no files.
        files: &[
            "adler32", "compress", "crc32", "deflate", "inffast", "inflate", "inftrees", "trees", "uncompr",
            "zutil",
        ],
        flags: &[],
    },
    Library {
        name: "pcre2",
        package: ("pcre2-sys", "0.2.10"),
        directory: "upstream/src",
        // What compiles patterns and finds matches.
        files: &[
            "pcre2_auto_possess",
            "pcre2_chartables",
            "pcre2_chkdint",
            "pcre2_compile",
            "pcre2_compile_class",
            "pcre2_context",
            "pcre2_extuni",
            "pcre2_find_bracket",
            "pcre2_match",
            "pcre2_match_data",
            "pcre2_newline",
            "pcre2_ord2utf",
            "pcre2_script_run",
            "pcre2_string_utils",
            "pcre2_study",
            "pcre2_tables",
            "pcre2_ucd",
            "pcre2_valid_utf",
            "pcre2_xclass",
        ],
        flags: &[
            "-DPCRE2_CODE_UNIT_WIDTH=8",
            "-DPCRE2_STATIC",
            "-DHAVE_CONFIG_H",
            "-DHAVE_MEMMOVE",
            "-DSUPPORT_PCRE2_8",
            "-DSUPPORT_UNICODE",
        ],
    },
    Library {
        name: "sqlite",
        package: ("libsqlite3-sys", "0.39.1"),
        directory: "sqlite3",
        files: &["sqlite3"],
        flags: &[
            // The program brings what is needed of an operating system.
            "-DSQLITE_OS_OTHER=1",
            "-DSQLITE_THREADSAFE=0",
            "-DSQLITE_OMIT_LOAD_EXTENSION",
            "-DSQLITE_OMIT_WAL",
            "-DSQLITE_DEFAULT_MEMSTATUS=0",
        ],
    },
];

impl Library {
    /// The one that a source's first line asks for.
    pub(super) fn of(source: &str) -> Result<Option<&'static Self>> {
        let find = |name: &&str| {
            let found = LIBRARIES.iter().find(|library| library.name == *name);
            found.with_context(|| format!("there is no library `{name}`"))
        };
        c::asked(source, "with").first().map(find).transpose()
    }

    /// All that decides what it is compiled to.
    pub(super) fn key(&self) -> String {
        let (package, version) = self.package;
        format!("{package} {version} {:?} {:?}", self.files, self.flags)
    }

    /// Has it compiled, and its headers found.
    pub(super) fn add_to(&self, clang: &mut Command) -> Result<()> {
        let (package, version) = self.package;
        let directory =
            fetch(Registry::Cargo, package, version)?.join("vendor").join(package).join(self.directory);
        clang.args(self.flags).arg("-isystem").arg(&directory);
        // Where those of PCRE2 lie that others have in one directory.
        clang.arg("-isystem").arg(directory.with_file_name("include"));
        clang.arg("-w").args(self.files.iter().map(|file| directory.join(format!("{file}.c"))));
        Ok(())
    }
}
