//! What the two tests of the specification's suite share: how its scripts are read, and how a report is compared.

use std::fs;
use std::path::Path;

use wast::WastDirective;
use wast::lexer::Lexer;
use wast::parser::ParseBuffer;

pub(crate) fn lex(text: &str) -> ParseBuffer<'_> {
    let mut lexer = Lexer::new(text);
    lexer.allow_confusing_unicode(true);
    ParseBuffer::new_with_lexer(lexer).unwrap()
}

pub(crate) fn is_assertion(directive: &WastDirective<'_>) -> bool {
    use WastDirective as D;
    !matches!(
        directive,
        D::Module(_)
            | D::ModuleDefinition(_)
            | D::ModuleInstance { .. }
            | D::Register { .. }
            | D::Invoke(_)
            | D::Thread(_)
            | D::Wait { .. }
    )
}

pub(crate) fn compare(report: &str, expected: &Path) {
    println!("{report}");
    if std::env::var_os("BLESS").is_some() {
        fs::write(expected, report).unwrap();
    }
    let expected = fs::read_to_string(expected).unwrap_or_default();
    assert!(report == expected, "the result changed; if that is right, run again with BLESS=1");
}
