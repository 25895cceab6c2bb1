//! The apps that `sampan new` writes, one for each language.

use std::path::PathBuf;

/// A file of an app: where it is written, and what with. `{{name}}` stands for the app's name, and `{{crate}}` for that
/// name with `_` for each `-`.
type File = (&'static str, &'static str);

/// An app in some language.
pub(super) struct Template {
    /// What the language is called.
    pub(super) language: &'static str,
    /// Whether there is something to be built.
    pub(super) is_built: bool,
    files: &'static [File],
    /// Whether the language has no package for what it imports and exports, and needs it written out.
    has_world: bool,
    /// What the reader of the app should know, in Markdown.
    about: &'static str,
    /// What builds it, and where that comes from.
    tool: (&'static str, &'static str),
}

/// `include_str!` of files under `new/`, each with the path that it is written to.
macro_rules! files {
    ($($path:literal: $file:literal),* $(,)?) => {
        &[$(($path, include_str!($file))),*]
    };
}

const README: &str = include_str!("readme.md");

const WORLD: &[File] = files! {
    "wit/world.wit": "wit/world.wit",
    "wit/deps/cli.wit": "wit/cli.wit",
    "wit/deps/clocks.wit": "wit/clocks.wit",
    "wit/deps/http.wit": "wit/http.wit",
    "wit/deps/io.wit": "wit/io.wit",
    "wit/deps/random.wit": "wit/random.wit",
    "wit/deps/keyvalue.wit": "../../../../../wit/deps/keyvalue/keyvalue.wit",
};

pub(super) const RUST: Template = Template {
    language: "Rust",
    is_built: true,
    files: files! {
        "sampan.toml": "rust/sampan.toml",
        ".gitignore": "rust/gitignore",
        "Cargo.toml": "rust/Cargo.toml.in",
        "src/lib.rs": "rust/lib.rs",
        "wit/world.wit": "rust/world.wit",
        "wit/deps/keyvalue.wit": "../../../../../wit/deps/keyvalue/keyvalue.wit",
    },
    has_world: false,
    about: "`src/lib.rs` answers each request, and counts them in the bucket `visits`. It is a component of \
            `wasi:http`, and reaches the bucket through `wasi:keyvalue`.",
    tool: ("cargo", "https://rustup.rs has it, and `rustup target add wasm32-wasip2` the target"),
};

pub(super) const C: Template = Template {
    language: "C",
    is_built: true,
    files: files! {
        "sampan.toml": "c/sampan.toml",
        ".gitignore": "c/gitignore",
        "hello.c": "c/hello.c",
    },
    has_world: false,
    about: "`hello.c` is a CGI program (RFC 3875): it runs once for each request, which it finds in environment \
            variables and on standard input, and answers on standard output.",
    tool: (
        "${WASI_SDK_PATH:-/opt/wasi-sdk}/bin/clang",
        "https://github.com/WebAssembly/wasi-sdk/releases has it, and `WASI_SDK_PATH` says where it is",
    ),
};

pub(super) const JS: Template = Template {
    language: "JavaScript",
    is_built: true,
    files: files! {
        "sampan.toml": "js/sampan.toml",
        ".gitignore": "js/gitignore",
        "package.json": "js/package.json",
        "src/hello.js": "js/hello.js",
    },
    has_world: true,
    about: "`src/hello.js` answers each request as a `fetch` event, and counts them in the bucket `visits`.",
    tool: ("npm", "https://nodejs.org has it"),
};

pub(super) const PYTHON: Template = Template {
    language: "Python",
    is_built: true,
    files: files! {
        "sampan.toml": "python/sampan.toml",
        ".gitignore": "python/gitignore",
        "hello.py": "python/hello.py",
    },
    has_world: true,
    about: "`hello.py` answers each request, and counts them in the bucket `visits`.",
    tool: ("componentize-py", "`pip install componentize-py` installs it"),
};

pub(super) const GO: Template = Template {
    language: "Go",
    is_built: true,
    files: files! {
        "sampan.toml": "go/sampan.toml",
        ".gitignore": "go/gitignore",
        "go.mod": "go/go.mod.in",
        "main.go": "go/main.go",
    },
    has_world: false,
    about: "`main.go` is a CGI program (RFC 3875): it runs once for each request, and `net/http/cgi` makes it a handler \
            like any other.",
    tool: ("go", "https://go.dev/dl has it"),
};

pub(super) const WAT: Template = Template {
    language: "WebAssembly text",
    is_built: false,
    files: files! {
        "sampan.toml": "wat/sampan.toml",
        ".gitignore": "wat/gitignore",
        "hello.wat": "wat/hello.wat",
    },
    has_world: false,
    about: "`hello.wat` is a CGI program (RFC 3875): it runs once for each request, and answers on standard output. \
            Nothing builds it.",
    tool: ("sampan", ""),
};

impl Template {
    /// All files of the app.
    pub(super) fn files(&self) -> Vec<(&'static str, String)> {
        let build = if self.is_built { "$ sampan build .\n" } else { "" };
        let readme = README.replace("{{about}}", self.about).replace("{{build}}\n", build);
        let world = if self.has_world { WORLD } else { &[] };
        let written = self.files.iter().chain(world).map(|(path, text)| (*path, (*text).to_owned()));
        written.chain([("README.md", readme)]).collect()
    }

    /// The tool that builds the app, and where it comes from, if it is not on this machine.
    pub(super) fn missing_tool(&self) -> Option<(&'static str, &'static str)> {
        let (tool, _) = self.tool;
        let is_here = match tool.strip_prefix("${WASI_SDK_PATH:-/opt/wasi-sdk}/") {
            Some(inside) => {
                let sdk = std::env::var_os("WASI_SDK_PATH").filter(|path| !path.is_empty());
                sdk.map_or_else(|| PathBuf::from("/opt/wasi-sdk"), PathBuf::from).join(inside).is_file()
            }
            None => is_on_path(tool),
        };
        (self.is_built && !is_here).then_some(self.tool)
    }
}

fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}
