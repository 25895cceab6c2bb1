//! A program of an app: how it is built, what it may touch, and what it may use up.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{At, Bytes, Name, Time};

/// A program that a route, a chain or another function calls.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a function: a table with `program`")]
pub struct Function {
    /// The WebAssembly program, relative to the manifest.
    pub program: At<PathBuf>,
    /// How the program is made: a shell command, or a table that says more.
    #[schemars(with = "Option<WrittenBuild>")]
    pub build: Option<At<Build>>,
    /// Position of the dial.
    #[serde(default)]
    pub profile: At<Profile>,
    /// Fine print under the profile; `sampan run -O help` lists it.
    #[serde(default)]
    pub options: BTreeMap<At<String>, At<Scalar>>,
    /// Warm instances that are kept and used again; with 0, each request has a fresh instance of its own.
    #[serde(default)]
    pub reuse: At<u32>,
    /// Requests that one warm instance answers at the same time, while others of them wait; only for WASI 0.3.
    pub share: Option<At<u32>>,
    /// Processes that stand by, to take the place of the one that the function runs in; only for profile `sealed`.
    #[serde(default)]
    pub spare: At<u32>,
    /// How long its process may have no call until it is frozen, at the least a deadline: it takes no time of a processor then,
    /// and gives memory back; the next call goes on in it. Without it, a minute; only for profile `sealed`.
    pub freeze: Option<At<Time>>,
    /// Environment variables.
    #[serde(default)]
    pub env: BTreeMap<At<String>, At<String>>,
    /// Environment variables whose values are secret, and where the node finds them.
    #[serde(default)]
    pub secrets: BTreeMap<At<String>, Secret>,
    /// What the program may touch: nothing that is not here.
    #[serde(default)]
    pub grants: Grants,
    /// What an instance may use up.
    #[serde(default)]
    pub limits: Limits,
    /// Buckets, granted to it, of whose changes it is told.
    #[serde(default)]
    pub watches: Vec<At<Name>>,
}

/// How a program is made.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Build {
    /// A shell command.
    pub command: String,
    /// Where it runs, relative to the manifest; without it, beside the manifest.
    pub dir: Option<At<PathBuf>>,
    /// Files and directories, relative to the manifest, whose change asks for it to run again.
    #[serde(default)]
    pub watch: Vec<At<PathBuf>>,
}

/// A position of the dial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Isolation and efficiency.
    #[default]
    Dense,
    /// Reach: no machine code is made at run time.
    Portable,
    /// Isolation and performance: a process of its own.
    Sealed,
    /// Performance and efficiency, for programs on a trust list.
    Trusted,
}

/// A value that is neither a list nor a table.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged, expecting = "expected a string, a number or a boolean")]
pub enum Scalar {
    /// `true` or `false`
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// A text.
    String(String),
}

/// Where the node finds a secret value.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Secret {
    /// In this environment variable of its own.
    Env(At<String>),
    /// In this file, relative to the manifest.
    File(At<PathBuf>),
}

/// What a program may touch.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "grants: a table, such as `{ net = [\"example.com:443\"] }`"
)]
pub struct Grants {
    /// Directories, `HOST[:GUEST][:ro]`, relative to the manifest.
    pub dirs: Vec<At<String>>,
    /// Peers to send to over TCP and UDP, `HOST:PORT`; `*` stands for any.
    pub net: Vec<At<String>>,
    /// Servers to send HTTP requests to, `HOST:PORT`; `*` stands for any.
    pub http: Vec<At<String>>,
    /// Buckets of this app.
    pub buckets: Vec<At<Name>>,
    /// Blob stores of this app.
    pub blobs: Vec<At<Name>>,
    /// The SQL database of this app.
    pub sql: bool,
    /// Functions and chains of this app.
    pub calls: Vec<At<Name>>,
    /// What the program reads through `wasi:config`.
    pub config: BTreeMap<At<String>, At<String>>,
}

/// What an instance may use up.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "limits: a table, such as `{ memory = \"64M\" }`")]
pub struct Limits {
    /// Bytes over all memories, tables and heaps of an instance together.
    pub memory: At<Bytes>,
    /// Time that a call may take.
    pub deadline: At<Time>,
    /// Calls at once; more of them wait.
    pub concurrency: At<u32>,
    /// Calls that may wait; more of them are refused.
    pub queue: At<u32>,
    /// Bytes of a request's body.
    pub body: At<Bytes>,
    /// Units of work that a call may do, about one per instruction; without it, any number.
    pub fuel: Option<At<u64>>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: Bytes(128 << 20).into(),
            deadline: Time(Duration::from_secs(30)).into(),
            concurrency: 32.into(),
            queue: 128.into(),
            body: Bytes(8 << 20).into(),
            fuel: None,
        }
    }
}

/// A shell command, or a table that says more.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(
    dead_code,
    reason = "only its schema is used: an untagged enum would not say what is wrong in the table"
)]
enum WrittenBuild {
    Command(String),
    Table(Build),
}

impl<'de> Deserialize<'de> for Build {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;

        impl<'de> de::Visitor<'de> for Written {
            type Value = Build;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a shell command, or a table with `command`")
            }

            fn visit_str<E>(self, command: &str) -> Result<Build, E> {
                Ok(Build { command: command.to_owned(), dir: None, watch: Vec::new() })
            }

            fn visit_map<A: de::MapAccess<'de>>(self, table: A) -> Result<Build, A::Error> {
                Build::deserialize(MapAccessDeserializer::new(table))
            }
        }

        deserializer.deserialize_any(Written)
    }
}

impl Serialize for Build {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Build::serialize(self, serializer)
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Boolean(value) => value.fmt(f),
            Scalar::Integer(value) => value.fmt(f),
            Scalar::Float(value) => value.fmt(f),
            Scalar::String(value) => value.fmt(f),
        }
    }
}
