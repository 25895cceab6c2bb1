//! What an object says of its module: `rt::abi::Module`, written as constants of LLVM.

use std::fmt::Write;

use crate::assembly::Options;
use crate::emit::thunk;
use crate::module::Module;
use crate::{Target, bounds};
use rt::abi::{ABI_VERSION, Kind};

/// The contents of segments, each for itself.
pub(crate) fn segments(module: &Module<'_>, name: &str) -> Vec<String> {
    let data = (0..).zip(&module.data);
    let data = data.map(|(index, segment)| {
        format!("@{name}.data{index} = internal constant {}\n", bytes(segment.items))
    });
    let elements = (0..).zip(&module.elements);
    let elements = elements.map(|(index, segment)| {
        let items: Vec<String> = segment.items.iter().map(|item| format!("i32 {item}")).collect();
        let (len, items) = (items.len(), items.join(", "));
        format!("@{name}.elements{index} = internal constant [{len} x i32] [{items}]\n")
    });
    data.chain(elements).collect()
}

/// The descriptor and all that it points to.
pub(crate) fn descriptor(module: &Module<'_>, options: &Options, name: &str) -> String {
    let mut writer = Writer { text: String::new(), name, target: options.target, strings: 0 };
    let fields = [
        writer.types(module),
        writer.imports(module),
        writer.exports(module),
        writer.functions(module),
        writer.memories(module, options),
        writer.tables(module),
        writer.globals(module),
        writer.numbers("data", module.data.iter().map(|segment| segment.items.len())),
        writer.numbers("elements", module.elements.iter().map(|segment| segment.items.len())),
    ];
    let word = writer.target.word();
    let section = options.section();
    let start = format!("{word} {ABI_VERSION}, ptr @__start_{section}, ptr @__stop_{section}");
    let initialize = thunk::initialize_name(name);
    let (memories, tables, globals) =
        (module.memories_imported, module.tables_imported, module.globals_imported);
    let imported = format!("{word} {memories}, {word} {tables}, {word} {globals}");
    let body = format!("{start}, {}, {imported}, ptr {initialize}", fields.join(", "));
    let lists = format!(", ptr, {word}").repeat(fields.len());
    let ty = format!("{{ {word}, ptr, ptr{lists}, {word}, {word}, {word}, ptr }}");
    writeln!(writer.text, "@sampan_module_{name} = constant {ty} {{ {body} }}\n")
        .expect("a string takes all");
    writer.text
}

struct Writer<'a> {
    text: String,
    name: &'a str,
    target: Target,
    strings: usize,
}

impl Writer<'_> {
    /// Writes an array of records; gives the list that refers to it.
    fn list(&mut self, what: &str, ty: &str, records: &[String]) -> String {
        let (name, word, len) = (self.name, self.target.word(), records.len());
        if len == 0 {
            return format!("ptr null, {word} 0");
        }
        let records: Vec<String> = records.iter().map(|record| format!("{ty} {{ {record} }}")).collect();
        let records = records.join(", ");
        writeln!(self.text, "@{name}.{what} = internal constant [{len} x {ty}] [{records}]")
            .expect("a string takes all");
        format!("ptr @{name}.{what}, {word} {len}")
    }

    /// Writes bytes; gives the list that refers to them.
    fn bytes(&mut self, of: &[u8]) -> String {
        self.strings += 1;
        let (name, number, word) = (self.name, self.strings, self.target.word());
        writeln!(self.text, "@{name}.string{number} = internal constant {}", bytes(of))
            .expect("a string takes all");
        format!("ptr @{name}.string{number}, {word} {}", of.len())
    }

    fn types(&mut self, module: &Module<'_>) -> String {
        let (entered, left) = (thunk::entered_by(module), thunk::left_by(module));
        let mut records = Vec::new();
        for (index, signature) in module.signatures.iter().enumerate() {
            let letters = self.bytes(&thunk::letters(signature));
            let code = |has: &[usize], name: String| {
                if has.binary_search(&index).is_ok() { name } else { "null".to_owned() }
            };
            let enter = code(&entered, thunk::enter_name(self.name, index));
            let leave = code(&left, thunk::leave_name(self.name, index));
            records.push(format!("{letters}, ptr {enter}, ptr {leave}"));
        }
        let ty = format!("{{ ptr, {}, ptr, ptr }}", self.target.word());
        self.list("types", &ty, &records)
    }

    fn imports(&mut self, module: &Module<'_>) -> String {
        let word = self.target.word();
        let mut records = Vec::new();
        for import in &module.imports {
            let (from, name) = (self.bytes(import.module.as_bytes()), self.bytes(import.name.as_bytes()));
            let (kind, index) = (import.kind as usize, import.index);
            records.push(format!("{from}, {name}, {word} {kind}, {word} {index}"));
        }
        self.list("imports", &format!("{{ ptr, {word}, ptr, {word}, {word}, {word} }}"), &records)
    }

    fn exports(&mut self, module: &Module<'_>) -> String {
        let word = self.target.word();
        let mut records = Vec::new();
        for export in &module.exports {
            let name = self.bytes(export.name.as_bytes());
            let index = match export.kind {
                Kind::Function => module.record_of(export.index),
                _ => export.index as usize,
            };
            records.push(format!("{name}, {word} {}, {word} {index}", export.kind as usize));
        }
        self.list("exports", &format!("{{ ptr, {word}, {word}, {word} }}"), &records)
    }

    fn functions(&mut self, module: &Module<'_>) -> String {
        let (name, word) = (self.name, self.target.word());
        let record = |function: &u32| {
            let (code, ty) =
                (thunk::record_code(module, name, *function), module.functions[*function as usize]);
            format!("ptr {code}, {word} {ty}")
        };
        let records: Vec<String> = module.recorded.iter().map(record).collect();
        self.list("functions", &format!("{{ ptr, {word} }}"), &records)
    }

    fn memories(&mut self, module: &Module<'_>, options: &Options) -> String {
        let records = module.memories.iter().map(|memory| {
            let of = bounds::memory_type(&options.target, options.policy, memory);
            vec![of.pages_min, of.pages_max, of.page_bytes_log2, of.index_bits, of.policy as usize]
        });
        self.words("memories", 5, records.collect())
    }

    fn tables(&mut self, module: &Module<'_>) -> String {
        let records = module.tables.iter().map(|table| {
            let index_bits = if table.index == crate::module::Type::I64 { 64 } else { 32 };
            vec![table.len_min as usize, table.len_max as usize, index_bits, table.element.letter().into()]
        });
        self.words("tables", 4, records.collect())
    }

    fn globals(&mut self, module: &Module<'_>) -> String {
        let records =
            module.globals.iter().map(|global| vec![global.content.letter().into(), global.mutable.into()]);
        self.words("globals", 2, records.collect())
    }

    /// Records of nothing but words; the largest one stands for there being no maximum, and for more than the target has.
    fn words(&mut self, what: &str, words: usize, records: Vec<Vec<usize>>) -> String {
        let (word, most) = (self.target.word(), self.target.word_max());
        let ty = format!("{{ {} }}", vec![word; words].join(", "));
        let record = |record: Vec<usize>| {
            let words: Vec<String> =
                record.iter().map(|value| format!("{word} {}", most.min(*value as u64))).collect();
            words.join(", ")
        };
        let records: Vec<String> = records.into_iter().map(record).collect();
        self.list(what, &ty, &records)
    }

    fn numbers(&mut self, what: &str, numbers: impl Iterator<Item = usize>) -> String {
        let numbers: Vec<String> = numbers.map(|number| format!("i32 {number}")).collect();
        let (name, len, numbers) = (self.name, numbers.len(), numbers.join(", "));
        writeln!(self.text, "@{name}.{what}.lengths = internal constant [{len} x i32] [{numbers}]")
            .expect("a string takes all");
        format!("ptr @{name}.{what}.lengths, {} {len}", self.target.word())
    }
}

/// Bytes as a constant with its type.
pub(crate) fn bytes(of: &[u8]) -> String {
    let mut text = format!("[{} x i8] c\"", of.len());
    for byte in of {
        match byte {
            b' '..=b'~' if !b"\"\\".contains(byte) => text.push(char::from(*byte)),
            _ => write!(text, "\\{byte:02X}").expect("a string takes all"),
        }
    }
    text.push('"');
    text
}
