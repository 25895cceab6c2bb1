//! The text of a manifest, and how a place in it is shown.

use std::ops::Range;

use crate::limits::EXCERPT_CHARS_MAX;

/// A manifest's text, and what it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    file: String,
    text: String,
    line_starts: Vec<usize>,
}

impl Default for Source {
    fn default() -> Self {
        Self::new("", "")
    }
}

impl Source {
    pub(crate) fn new(text: &str, file: &str) -> Self {
        let line_starts = text.match_indices('\n').map(|(newline, _)| newline + 1);
        let line_starts = [0].into_iter().chain(line_starts).collect();
        Self { file: file.to_owned(), text: text.to_owned(), line_starts }
    }

    /// What is written at `span`.
    pub(crate) fn at(&self, span: &Range<usize>) -> &str {
        self.text.get(span.clone()).unwrap_or_default()
    }

    /// The number of the line, from 1, that the byte at `offset` is on.
    pub(crate) fn line(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset)
    }

    /// The line that `span` begins on, with carets under it, as `rustc` shows it.
    pub(crate) fn excerpt(&self, span: &Range<usize>) -> String {
        let start = self.text.floor_char_boundary(span.start);
        let line = self.line(start);
        let line_start = self.line_starts[line - 1];
        let line_end = self.text[start..].find('\n').map_or(self.text.len(), |length| start + length);
        let end = self.text.floor_char_boundary(span.end).clamp(start, line_end);
        let column = self.text[line_start..start].chars().count();

        // Of a long line, the part around the place.
        let skipped = column.saturating_sub(EXCERPT_CHARS_MAX / 2);
        let shown =
            printable(self.text[line_start..line_end].trim_end().chars().skip(skipped), EXCERPT_CHARS_MAX);
        let indent = " ".repeat(column - skipped);
        let room = EXCERPT_CHARS_MAX.saturating_sub(column - skipped);
        let carets = "^".repeat(self.text[start..end].trim_end().chars().count().min(room).max(1));

        let gutter = " ".repeat(line.to_string().len());
        let file = printable(self.file.chars(), EXCERPT_CHARS_MAX);
        let column = column + 1;
        format!(
            "{gutter}--> {file}:{line}:{column}\n{gutter} |\n{line} | {shown}\n{gutter} | {indent}{carets}"
        )
    }
}

/// At most `max` characters, none of which moves a terminal's cursor or turns the direction of writing.
pub(crate) fn printable(mut chars: impl Iterator<Item = char>, max: usize) -> String {
    let harmless = |c: char| match c {
        '\t' => ' ',
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    let mut text: String = chars.by_ref().take(max).map(harmless).collect();
    if chars.next().is_some() {
        text.push('…');
    }
    text
}
