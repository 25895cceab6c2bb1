//! One text becomes several, for clang to compile beside each other, each in little time and memory.
//!
//! What a part has is its own, as it is in one text, but for what another part refers to: that is *hidden*, which is to say
//! seen by the linker and by nobody else.

use std::collections::{HashMap, HashSet};

use crate::limits::{CALLERS_MAX, SMALL_FUNCTION_TEXT_BYTES_MAX};

/// Stands between two parts: a comment for clang, and nothing that a text has otherwise.
const BETWEEN: &str = "\n; the next part\n";

/// What an assembly is put together of.
#[derive(Debug)]
pub(crate) enum Piece {
    /// The definition of one function of WebAssembly, `define internal …`.
    Function(String),
    /// The definition of one segment, `@… = internal constant …`.
    Segment(String),
    /// Anything else.
    Other(String),
}

impl Piece {
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Function(text) | Self::Segment(text) | Self::Other(text) => text,
        }
    }

    /// The name of what may be referred to from elsewhere.
    fn name(&self) -> Option<&str> {
        match self {
            Self::Function(text) | Self::Segment(text) => names(text).next(),
            Self::Other(_) => None,
        }
    }

    /// How it is declared where it is referred to.
    fn declaration(&self) -> Option<String> {
        match self {
            Self::Function(text) => {
                let header = text.strip_prefix("define internal ")?.split(" section ").next()?;
                Some(format!("declare hidden {header}\n"))
            }
            Self::Segment(text) => {
                let (name, value) = text.split_once(" = internal constant ")?;
                let ty = value.split_inclusive(']').next()?;
                Some(format!("{name} = external hidden constant {ty}\n"))
            }
            Self::Other(_) => None,
        }
    }

    /// The definition, linked otherwise.
    fn linked<'a>(&'a self, how: &'a str) -> [&'a str; 3] {
        let (before, after) = self.text().split_once("internal").unwrap_or_default();
        [before, how, after]
    }
}

/// The parts of a text.
pub(crate) fn of(text: &str) -> Vec<&str> {
    text.split(BETWEEN).collect()
}

/// Puts pieces together to a text of parts, of which each begins with `head` and ends with `tail`. All but the functions are
/// in the first; they are in the others, each of so many bytes, but for a function that is larger. A function that is small is
/// known also where it is called from another part, for clang to put it in there.
pub(crate) fn divide(pieces: &[Piece], code_bytes_max: usize, head: &str, tail: &str) -> String {
    let program = Program::new(pieces);
    let parts = program.parts(code_bytes_max);
    let mut homes = HashMap::new();
    for (number, part) in parts.iter().enumerate() {
        homes.extend(part.iter().filter_map(|piece| piece.name()).map(|name| (name, number)));
    }
    // In the order in which they are met, so that the same program becomes the same text.
    let (mut all_foreign, mut shown) = (Vec::new(), HashSet::new());
    for (number, part) in parts.iter().enumerate() {
        let is_foreign = |name: &&&str| homes[**name] != number;
        let (mut met, mut foreign, mut small_bytes) = (HashSet::new(), Vec::new(), 0);
        let mut met_in = |piece: &Piece, foreign: &mut Vec<_>| {
            for name in program.references(piece).iter().filter(is_foreign) {
                if met.insert(*name) {
                    foreign.push((*name, false));
                }
            }
        };
        part.iter().for_each(|piece| met_in(piece, &mut foreign));
        for index in 0..foreign.len() {
            let piece = program.known[foreign[index].0];
            let len = piece.text().len();
            if matches!(piece, Piece::Function(_))
                && len <= SMALL_FUNCTION_TEXT_BYTES_MAX
                && small_bytes + len <= code_bytes_max
            {
                small_bytes += len;
                foreign[index].1 = true;
                met_in(piece, &mut foreign);
            }
        }
        shown.extend(foreign.iter().map(|(name, _)| *name));
        all_foreign.push(foreign);
    }

    let mut text = String::new();
    for (part, foreign) in parts.iter().zip(&all_foreign) {
        if !text.is_empty() {
            text.push_str(BETWEEN);
        }
        text.push_str(head);
        for (name, is_known) in foreign {
            let piece = program.known[name];
            match is_known {
                true => text.extend(piece.linked("available_externally hidden")),
                false => text.extend(piece.declaration()),
            }
        }
        for piece in part {
            match piece.name() {
                Some(name) if shown.contains(name) => text.extend(piece.linked("hidden")),
                _ => text.push_str(piece.text()),
            }
        }
        text.push_str(tail);
    }
    text
}

/// Pieces, and which of them refer to which.
struct Program<'a> {
    pieces: &'a [Piece],
    /// What may be referred to from elsewhere, by name.
    known: HashMap<&'a str, &'a Piece>,
    /// What the pieces refer to that have a name.
    references: HashMap<&'a str, Vec<&'a str>>,
    /// The same for all others together.
    of_others: Vec<&'a str>,
}

impl<'a> Program<'a> {
    fn new(pieces: &'a [Piece]) -> Self {
        let known: HashMap<_, _> = pieces.iter().filter_map(|piece| Some((piece.name()?, piece))).collect();
        let (mut references, mut of_others) = (HashMap::new(), Vec::new());
        for piece in pieces.iter().filter(|piece| !matches!(piece, Piece::Segment(_))) {
            let (mut met, own) = (HashSet::new(), piece.name());
            let found = names(piece.text()).filter(|name| known.contains_key(name) && Some(*name) != own);
            let found = found.filter(|name| met.insert(*name));
            match own {
                Some(own) => drop(references.insert(own, found.collect::<Vec<_>>())),
                None => of_others.extend(found),
            }
        }
        Self { pieces, known, references, of_others }
    }

    /// What a piece refers to. The others are in one part, so that it is all the same which of them it is.
    fn references(&self, piece: &Piece) -> &[&'a str] {
        match piece.name() {
            Some(name) => self.references.get(name).map_or(&[], Vec::as_slice),
            None => &self.of_others,
        }
    }

    /// The pieces of each part.
    fn parts(&self, code_bytes_max: usize) -> Vec<Vec<&'a Piece>> {
        let (functions, others): (Vec<&Piece>, Vec<&Piece>) =
            self.pieces.iter().partition(|piece| matches!(piece, Piece::Function(_)));
        let bytes: usize = functions.iter().map(|piece| piece.text().len()).sum();
        let part_bytes = bytes.div_ceil(bytes.div_ceil(code_bytes_max).max(1));
        let mut parts = vec![others];
        let mut left = 0;
        for function in self.beside_their_callers(functions) {
            let len = function.text().len();
            if len > left {
                parts.push(Vec::new());
                left = part_bytes;
            }
            left = left.saturating_sub(len);
            parts.last_mut().expect("there is one").push(function);
        }
        parts
    }

    /// The functions in such an order that one which only one other refers to is near that: clang may put it in there.
    fn beside_their_callers(&self, functions: Vec<&'a Piece>) -> Vec<&'a Piece> {
        let numbers: HashMap<_, _> = functions
            .iter()
            .enumerate()
            .filter_map(|(number, piece)| Some((piece.name()?, number)))
            .collect();
        let mut callers = vec![Caller::None; functions.len()];
        let called = |name: &str| numbers.get(name).copied();
        for number in self.of_others.iter().filter_map(|name| called(name)) {
            callers[number] = Caller::Many;
        }
        for (caller, piece) in functions.iter().enumerate() {
            for number in self.references(piece).iter().filter_map(|name| called(name)) {
                callers[number] = match callers[number] {
                    Caller::None => Caller::One(caller),
                    _ => Caller::Many,
                };
            }
        }
        let outermost = |mut number: usize| {
            for _ in 0..CALLERS_MAX {
                let Caller::One(caller) = callers[number] else { break };
                number = caller;
            }
            number
        };
        let mut order: Vec<_> = (0..functions.len()).map(|number| (outermost(number), number)).collect();
        order.sort_unstable();
        order.into_iter().map(|(_, number)| functions[number]).collect()
    }
}

/// Who refers to a function.
#[derive(Clone, Copy)]
enum Caller {
    None,
    One(usize),
    Many,
}

/// The names of globals in a text, and what looks like one.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"._".contains(byte);
    text.split('@').skip(1).map(move |rest| {
        let len = rest.bytes().take_while(is_of_name).count();
        &rest[..len]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(name: &str, calls: &str, more: &str) -> Piece {
        let header = format!("define internal tailcc void @{name}(ptr %instance) #0 section \"text\"");
        Piece::Function(format!(
            "{header} {{\n  call tailcc void @{calls}(ptr %instance)\n{more}  ret void\n}}\n"
        ))
    }

    #[test]
    fn what_is_needed_elsewhere_is_shown_and_declared() {
        let long = "; so that it is not small\n".repeat(SMALL_FUNCTION_TEXT_BYTES_MAX / 10);
        let pieces = [
            Piece::Segment("@m.data0 = internal constant [2 x i8] c\"@m\"\n".to_owned()),
            function("m.f1", "m.f2", &long),
            function("m.f2", "m.f3", &long),
            Piece::Other("@list = internal constant [2 x ptr] [ptr @m.f1, ptr @m.f3]\n".to_owned()),
            function("m.f3", "m.f4", &long),
            function("m.f4", "m.f4", ""),
            function("m.f5", "m.f4", &long),
        ];
        let text = divide(&pieces, pieces[1].text().len(), "; head\n", "; tail\n");
        let parts = of(&text);
        assert!(
            parts.iter().all(|part| part.starts_with("; head\n") && part.ends_with("; tail\n")),
            "{text}"
        );
        let declared = |name: &str| format!("declare hidden tailcc void @m.{name}(ptr %instance) #0\n");
        assert!(parts[0].starts_with(&format!("; head\n{}{}", declared("f1"), declared("f3"))), "{text}");
        assert!(parts[0].contains("@list") && parts[0].contains("@m.data0 = internal constant"), "{text}");
        let homes = |how: &str, name: &str| {
            let defined = format!("define {how} tailcc void @m.{name}(");
            parts.iter().filter(|part| part.contains(&defined)).count()
        };
        for name in ["f1", "f2", "f3", "f4"] {
            assert_eq!((homes("hidden", name), homes("internal", name)), (1, 0), "{name}: {text}");
        }
        assert_eq!((homes("hidden", "f5"), homes("internal", "f5")), (0, 1), "{text}");
        assert_eq!(homes("available_externally hidden", "f4"), 2, "{text}");
        assert!(!text.contains(&declared("f4")), "{text}");
    }

    #[test]
    fn a_function_is_beside_the_only_one_that_calls_it() {
        let names = |pieces: &[Piece]| {
            let program = Program::new(pieces);
            let order = program.beside_their_callers(pieces.iter().collect());
            order.iter().filter_map(|piece| piece.name().map(str::to_owned)).collect::<Vec<_>>()
        };
        let pieces = [
            function("m.a", "m.c", ""),
            function("m.b", "m.d", ""),
            function("m.c", "m.e", ""),
            function("m.d", "m.e", ""),
            function("m.e", "m.e", ""),
        ];
        assert_eq!(names(&pieces), ["m.a", "m.c", "m.b", "m.d", "m.e"]);
        // In a circle nobody is the first.
        let pieces = [function("m.a", "m.b", ""), function("m.b", "m.a", ""), function("m.c", "m.c", "")];
        assert_eq!(names(&pieces).len(), 3);
    }
}
