//! `sampan inspect`: what a program is, and what it would need.

use std::path::PathBuf;

use clap::Args;
use engine::{Anatomy, Form, Item};
use host::Need;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use wit_component::{DecodedWasm, WitPrinter};

use crate::report::{Report, print};
use crate::source;
use crate::table::printable;

/// Show what a program is and what it would need
#[derive(Args)]
#[command(after_help = "\
Examples:
  sampan inspect app.wasm
  sampan inspect --json app.wasm | jq .grants")]
pub(crate) struct Inspect {
    /// The program: a module or component, binary or text; `-` reads standard input
    program: PathBuf,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub(crate) fn execute(self) -> Result<(), Report> {
        let bytes = source::read(&self.program)?;
        let name = source::name(&self.program);
        let description = match Form::detect(&bytes) {
            Ok(Form::Compiled) => Description::compiled(name, &bytes),
            _ => {
                let anatomy = Anatomy::of(&bytes).map_err(|error| source::explain(&self.program, &error))?;
                Description::program(name, &bytes, anatomy)
            }
        };
        let text = if self.json { format!("{:#}\n", description.json()) } else { description.text() };
        print(text.as_bytes())
    }
}

struct Description {
    name: String,
    kind: &'static str,
    digest: String,
    bytes: usize,
    /// What can be said of a program that is not yet compiled.
    program: Option<(Anatomy, Vec<Need>, Option<String>)>,
}

impl Description {
    fn compiled(name: String, bytes: &[u8]) -> Self {
        Self { name, kind: "precompiled code", digest: digest(bytes), bytes: bytes.len(), program: None }
    }

    fn program(name: String, bytes: &[u8], anatomy: Anatomy) -> Self {
        let needs =
            host::needs(anatomy.imports.iter().map(|item| (item.module.as_deref(), item.name.as_str())));
        let wit = (anatomy.form == Form::Component).then(|| wit(bytes)).flatten();
        Self {
            name,
            kind: kind(&anatomy),
            digest: digest(bytes),
            bytes: bytes.len(),
            program: Some((anatomy, needs, wit)),
        }
    }

    fn json(&self) -> Value {
        let mut json = json!({
            "program": self.name,
            "kind": self.kind,
            "digest": self.digest,
            "bytes": self.bytes,
        });
        if let Some((anatomy, needs, wit)) = &self.program {
            let items = |items: &[Item]| -> Value {
                items
                    .iter()
                    .map(|item| match &item.module {
                        Some(module) => json!({ "module": module, "name": item.name, "type": item.kind }),
                        None => json!({ "name": item.name, "type": item.kind }),
                    })
                    .collect()
            };
            let grants: Value =
                needs.iter().map(|need| json!({ "grant": need.grant, "import": need.import })).collect();
            json["sections"] = json!(anatomy.sections);
            json["modules"] = json!(anatomy.modules);
            json["functions"] = json!(anatomy.functions);
            json["memory_bytes_min"] = json!(anatomy.memory_bytes_min);
            json["proposals"] = json!(anatomy.proposals);
            json["imports"] = items(&anatomy.imports);
            json["exports"] = items(&anatomy.exports);
            json["grants"] = grants;
            json["wit"] = json!(wit);
        }
        json
    }

    fn text(&self) -> String {
        let mut text = format!(
            "program    {}\nkind       {}\ndigest     {}\nsize       {} bytes\n",
            self.name,
            self.kind,
            self.digest,
            grouped(self.bytes as u64)
        );
        let Some((anatomy, needs, wit)) = &self.program else {
            return text;
        };
        let mut sections: Vec<_> = anatomy.sections.iter().filter(|(_, bytes)| **bytes > 0).collect();
        sections.sort_by_key(|(_, bytes)| std::cmp::Reverse(**bytes));
        for (section, bytes) in sections {
            text += &format!("           {:>12} {section}\n", grouped(*bytes as u64));
        }
        text += &format!(
            "holds      {} in {}, {} of memory at start\n",
            counted(anatomy.functions as u64, "function"),
            counted(anatomy.modules as u64, "module"),
            counted(anatomy.memory_bytes_min, "byte")
        );
        let proposals: Vec<&str> = anatomy.proposals.iter().copied().collect();
        text += &format!("proposals  {}\n", listed(&proposals));
        let needed: Vec<String> =
            needs.iter().map(|need| format!("{:9} for {}", need.grant, need.import)).collect();
        text += &format!("may need   {}\n", indented(&needed));
        match wit {
            Some(wit) => text + "\n" + wit,
            None => {
                text += &format!("imports    {}\n", indented(&shown(&anatomy.imports)));
                text + &format!("exports    {}\n", indented(&shown(&anatomy.exports)))
            }
        }
    }
}

fn kind(anatomy: &Anatomy) -> &'static str {
    let exports = |prefix: &str| anatomy.exports.iter().any(|item| item.name.starts_with(prefix));
    match anatomy.form {
        Form::Component if exports("wasi:cli/run@0.3") => "component, a WASI 0.3 command",
        Form::Component if exports("wasi:cli/run@0.2") => "component, a WASI 0.2 command",
        Form::Component if exports("wasi:http/") => "component, a handler of HTTP requests",
        Form::Component => "component",
        _ if exports("_start") => "module, a WASI 0.1 command",
        _ if exports("_initialize") => "module, a WASI 0.1 reactor",
        _ => "module",
    }
}

/// The SHA-256 of the file, as container registries write it.
fn digest(bytes: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(bytes))
}

/// The world of a component as WIT. `None` where its names have no WIT, as in hand-written components.
fn wit(bytes: &[u8]) -> Option<String> {
    let binary;
    let bytes = if Form::detect(bytes) == Ok(Form::Text) {
        binary = engine::binary(bytes).ok()?;
        &binary
    } else {
        bytes
    };
    let DecodedWasm::Component(resolve, world) = wit_component::decode(bytes).ok()? else {
        return None;
    };
    let package = resolve.worlds[world].package?;
    let others: Vec<_> = resolve.packages.iter().map(|(id, _)| id).filter(|id| *id != package).collect();
    let mut printer = WitPrinter::default();
    printer.emit_docs(false);
    printer.print(&resolve, package, &others).ok()?;
    Some(printer.output.to_string())
}

fn shown(items: &[Item]) -> Vec<String> {
    let line = |item: &Item| match &item.module {
        Some(module) => format!("{module}.{} {}", item.name, item.kind),
        None => format!("{} {}", item.name, item.kind),
    };
    items.iter().map(line).collect()
}

fn listed(words: &[&str]) -> String {
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

/// Each on a line of its own, whatever the program put into its names.
fn indented(lines: &[String]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| printable(line)).collect();
    if lines.is_empty() { "none".to_owned() } else { lines.join("\n           ") }
}

/// So many of a thing.
fn counted(number: u64, thing: &str) -> String {
    format!("{} {thing}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// A number with its thousands set apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
