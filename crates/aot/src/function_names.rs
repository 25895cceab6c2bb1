//! What functions are called where a user reads of them: names that a module may have, and need not be true to.

use wasmparser::{KnownCustom, Name, Naming, Parser, Payload};

use crate::descriptor::bytes;
use crate::limits::FUNCTION_NAMES_BYTES_MAX;

/// The constant with the names of a module's functions, as far as they can be read.
pub(crate) fn constant(module: &str, wasm: &[u8]) -> String {
    let mut list = Vec::new();
    // Whatever is wrong with names is no reason to refuse the module.
    let _ = read(wasm, &mut list);
    list.extend(u32::MAX.to_le_bytes());
    format!("@sampan_names_{module} = constant {}\n\n", bytes(&list))
}

fn read(wasm: &[u8], list: &mut Vec<u8>) -> wasmparser::Result<()> {
    for payload in Parser::new(0).parse_all(wasm) {
        let Payload::CustomSection(section) = payload? else { continue };
        let KnownCustom::Name(names) = section.as_known() else { continue };
        for names in names {
            let Name::Function(functions) = names? else { continue };
            for function in functions {
                let Naming { index, name } = function?;
                if list.len() + 8 + name.len() > FUNCTION_NAMES_BYTES_MAX || index == u32::MAX {
                    return Ok(());
                }
                list.extend(index.to_le_bytes());
                list.extend((name.len() as u32).to_le_bytes());
                list.extend(name.as_bytes());
            }
        }
    }
    Ok(())
}
