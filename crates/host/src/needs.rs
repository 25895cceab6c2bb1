//! Which grants a program would need, judged by what it imports.

/// One kind of grant, and the import that asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// The grant's flag on the command line, or its key in `sampan.toml`: an app has more to grant.
    pub grant: &'static str,
    /// The first import that asks for it.
    pub import: String,
}

/// What asks for each grant: the beginnings of imports, `MODULE.NAME` for those of core modules.
const ASKS: [(&str, &[&str]); 10] = [
    ("--dir", &["wasi:filesystem/types", "wasi:filesystem/preopens", "wasi_snapshot_preview1.path_"]),
    ("--env", &["wasi:cli/environment", "wasi_snapshot_preview1.environ_get"]),
    ("--net", &["wasi:sockets/ip-name-lookup", "wasi:sockets/tcp", "wasi:sockets/udp", "wasi:sockets/types"]),
    ("--listen", &["wasi:sockets/tcp-create-socket", "wasi:sockets/types"]),
    ("--http", &["wasi:http/outgoing-handler", "wasi:http/client"]),
    ("buckets", &["wasi:keyvalue/store"]),
    ("blobs", &["wasi:blobstore/blobstore"]),
    ("sql", &["sampan:sql/database"]),
    ("calls", &["sampan:chain/calls"]),
    ("config", &["wasi:config/store"]),
];

/// The kinds of grants that a program with these imports could make use of, in the order of the command line's help and
/// of the manifest.
///
/// Many programs import more than they use: a language's library brings it along. So these are what it *may* ask for.
pub fn needs<'a>(imports: impl IntoIterator<Item = (Option<&'a str>, &'a str)>) -> Vec<Need> {
    let imports: Vec<String> = imports
        .into_iter()
        .map(|(module, name)| module.map_or_else(|| name.to_owned(), |module| format!("{module}.{name}")))
        .collect();
    let asks_for = |prefixes: &[&str]| {
        imports.iter().find(|import| prefixes.iter().any(|prefix| import.starts_with(prefix)))
    };
    ASKS.iter()
        .filter_map(|(grant, prefixes)| Some(Need { grant, import: asks_for(prefixes)?.clone() }))
        .collect()
}
