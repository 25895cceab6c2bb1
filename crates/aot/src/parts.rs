//! One text becomes several, for clang to compile beside each other, each in little time and memory.
//!
//! What a part has is its own, as it is in one text, but for what another part refers to: that is *hidden*, which is to say
//! seen by the linker and by nobody else.

use std::collections::{HashMap, HashSet};

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

    /// The name of what may be referred to from elsewhere, and how it is declared there.
    fn declaration(&self) -> Option<(&str, String)> {
        match self {
            Self::Function(text) => {
                let header = text.strip_prefix("define internal ")?.split(" section ").next()?;
                Some((names(header).next()?, format!("declare hidden {header}\n")))
            }
            Self::Segment(text) => {
                let (name, value) = text.split_once(" = internal constant ")?;
                let ty = value.split_inclusive(']').next()?;
                Some((names(name).next()?, format!("{name} = external hidden constant {ty}\n")))
            }
            Self::Other(_) => None,
        }
    }
}

/// The parts of a text.
pub(crate) fn of(text: &str) -> Vec<&str> {
    text.split(BETWEEN).collect()
}

/// Puts pieces together to a text of parts, of which each begins with `head` and ends with `tail`. All but the functions are
/// in the first; they are in the others, each of so many bytes, but for a function that is larger.
pub(crate) fn divide(pieces: &[Piece], code_bytes_max: usize, head: &str, tail: &str) -> String {
    let (functions, others): (Vec<&Piece>, Vec<&Piece>) =
        pieces.iter().partition(|piece| matches!(piece, Piece::Function(_)));
    let bytes: usize = functions.iter().map(|piece| piece.text().len()).sum();
    let part_bytes = bytes.div_ceil(bytes.div_ceil(code_bytes_max).max(1));
    let mut parts = vec![others];
    let mut left = 0;
    for function in functions {
        let len = function.text().len();
        if len > left {
            parts.push(Vec::new());
            left = part_bytes;
        }
        left = left.saturating_sub(len);
        parts.last_mut().expect("there is one").push(function);
    }

    let mut declared = HashMap::new();
    for (part, pieces) in parts.iter().enumerate() {
        for (name, declaration) in pieces.iter().filter_map(|piece| piece.declaration()) {
            declared.insert(name, (part, declaration));
        }
    }
    // In the order in which they are met, so that the same program becomes the same text.
    let mut foreign: Vec<Vec<&str>> = Vec::new();
    for (part, pieces) in parts.iter().enumerate() {
        let (mut met, mut of_others) = (HashSet::new(), Vec::new());
        let code = pieces.iter().filter(|piece| !matches!(piece, Piece::Segment(_)));
        for name in code.flat_map(|piece| names(piece.text())) {
            if declared.get(name).is_some_and(|(home, _)| *home != part) && met.insert(name) {
                of_others.push(name);
            }
        }
        foreign.push(of_others);
    }
    let shown: HashSet<&str> = foreign.iter().flatten().copied().collect();

    let mut text = String::new();
    for (pieces, foreign) in parts.iter().zip(&foreign) {
        if !text.is_empty() {
            text.push_str(BETWEEN);
        }
        text.push_str(head);
        for name in foreign {
            text.push_str(&declared[name].1);
        }
        for piece in pieces {
            match (piece.declaration(), piece.text().split_once("internal")) {
                (Some((name, _)), Some((before, after))) if shown.contains(name) => {
                    text.extend([before, "hidden", after]);
                }
                _ => text.push_str(piece.text()),
            }
        }
        text.push_str(tail);
    }
    text
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

    fn function(name: &str, calls: &str) -> Piece {
        let header = format!("define internal tailcc void @{name}(ptr %instance) #0 section \"text\"");
        Piece::Function(format!("{header} {{\n  call tailcc void @{calls}(ptr %instance)\n  ret void\n}}\n"))
    }

    #[test]
    fn what_is_needed_elsewhere_is_shown_and_declared() {
        let pieces = [
            Piece::Segment("@m.data0 = internal constant [2 x i8] c\"@m\"\n".to_owned()),
            function("m.f1", "m.f2"),
            function("m.f2", "m.f3"),
            Piece::Other("@list = internal constant [1 x ptr] [ptr @m.f1]\n".to_owned()),
            function("m.f3", "m.f3"),
        ];
        let two = pieces[1].text().len() + pieces[2].text().len();
        let text = divide(&pieces, two, "; head\n", "; tail\n");
        let [first, second, third] = of(&text)[..] else { panic!("{text}") };
        assert!(first.starts_with("; head\ndeclare hidden tailcc void @m.f1(ptr %instance) #0\n"), "{first}");
        assert!(first.contains("@list") && first.contains("@m.data0 = internal constant"), "{first}");
        assert!(second.contains("declare hidden tailcc void @m.f3(ptr %instance) #0\n"), "{second}");
        assert!(second.contains("define hidden tailcc void @m.f1("), "{second}");
        assert!(second.contains("define internal tailcc void @m.f2("), "{second}");
        assert!(third.contains("define hidden tailcc void @m.f3("), "{third}");
        assert!(!third.contains("declare"), "{third}");
        assert!(of(&text).iter().all(|part| part.ends_with("; tail\n")), "{text}");
    }
}
