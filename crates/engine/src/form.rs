//! What the bytes of a file are. Nobody has to say it: every form of program begins in its own way.

use crate::shim;

/// The form of a program at rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A core module, binary.
    Module,
    /// A component, binary.
    Component,
    /// A module or component in the text format.
    Text,
    /// Code precompiled by [`Engine::build`](crate::Engine::build).
    Compiled,
}

/// The operating system that the header of Wasmtime's object files names.
const ELFOSABI_WASMTIME: u8 = 200;

impl Form {
    /// Looks at the first bytes.
    ///
    /// # Errors
    /// A phrase that says what the bytes seem to be instead.
    pub fn detect(bytes: &[u8]) -> Result<Form, String> {
        match bytes {
            [] => Err("the file is empty".to_owned()),
            [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => Ok(Form::Module),
            [0, b'a', b's', b'm', version, 0, 1, 0, ..] if *version >= 0xd => Ok(Form::Component),
            [0, b'a', b's', b'm', rest @ ..] => Err(match rest.first_chunk::<4>() {
                Some(version) => format!("unknown version {}", u32::from_le_bytes(*version)),
                None => "the file ends within its first eight bytes".to_owned(),
            }),
            _ if shim::parts(bytes).is_some() || wasmtime::Engine::detect_precompiled(bytes).is_some() => {
                Ok(Form::Compiled)
            }
            [0x7f, b'E', b'L', b'F', _, _, _, ELFOSABI_WASMTIME, ..] => {
                Err("precompiled code that is damaged or cut short".to_owned())
            }
            [0x7f, b'E', b'L', b'F', ..] => Err("an ELF file, made for this operating system".to_owned()),
            [b'#', b'!', ..] => Err("a script".to_owned()),
            [0x1f, 0x8b, ..] => Err("a gzip archive; unpack it first".to_owned()),
            [b'P', b'K', 3, 4, ..] => Err("a zip archive; unpack it first".to_owned()),
            _ if begins_as_text(bytes) => Ok(Form::Text),
            _ => Err("it begins neither with `\\0asm` nor as WebAssembly text".to_owned()),
        }
    }
}

/// Whether the first thing past blanks is a parenthesis or a comment of the text format.
fn begins_as_text(bytes: &[u8]) -> bool {
    let text = bytes.trim_ascii_start();
    text.starts_with(b"(") || text.starts_with(b";;")
}
