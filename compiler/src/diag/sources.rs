//! The loaded source texts, laid out one behind the other in a single space of byte offsets.

use std::ops::Range;

use codespan_reporting::files::{Error, Files, line_starts};

use crate::syntax::ast::Span;

/// Every text a span can point into: the script first, then imports and library files.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<Source>,
}

#[derive(Clone, Debug)]
struct Source {
    name: String,
    text: String,
    base: u32,
    lines: Vec<usize>,
}

impl Sources {
    /// A set with one script, whose offsets start at 0.
    pub fn of(name: &str, text: &str) -> Sources {
        let mut sources = Sources::default();
        sources.add(name, text);
        sources
    }

    /// Adds a text and returns the offset of its first byte, for `syntax::parse_at`.
    pub fn add(&mut self, name: &str, text: &str) -> u32 {
        // One offset between two files keeps the end of the one from being the start of the next.
        let base = self.files.last().map_or(0, |f| f.base + f.text.len() as u32 + 1);
        let lines = line_starts(text).collect();
        self.files.push(Source { name: name.to_owned(), text: text.to_owned(), base, lines });
        base
    }

    /// Name, line and column (1-based, in bytes) of an offset.
    pub fn location(&self, offset: u32) -> Option<(&str, usize, usize)> {
        let file = self.files.get(self.index_of(offset)?)?;
        let local = (offset - file.base) as usize;
        let line = file.lines.partition_point(|&start| start <= local);
        Some((&file.name, line, local - file.lines.get(line.wrapping_sub(1))? + 1))
    }

    /// The text a span covers.
    pub fn text(&self, span: Span) -> Option<&str> {
        let (file, range) = self.range(span)?;
        self.files[file].text.get(range)
    }

    fn index_of(&self, offset: u32) -> Option<usize> {
        self.files.partition_point(|f| f.base <= offset).checked_sub(1)
    }

    /// The file of a span and its range there, cut to whole characters.
    pub(super) fn range(&self, span: Span) -> Option<(usize, Range<usize>)> {
        let index = self.index_of(span.start)?;
        let file = &self.files[index];
        let clip = |offset: u32| {
            let mut at = (offset.saturating_sub(file.base) as usize).min(file.text.len());
            while !file.text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let (start, end) = (clip(span.start), clip(span.end));
        Some((index, start..end.max(start)))
    }
}

impl<'a> Files<'a> for Sources {
    type FileId = usize;
    type Name = &'a str;
    type Source = &'a str;

    fn name(&'a self, id: usize) -> Result<&'a str, Error> {
        self.files.get(id).map(|f| f.name.as_str()).ok_or(Error::FileMissing)
    }

    fn source(&'a self, id: usize) -> Result<&'a str, Error> {
        self.files.get(id).map(|f| f.text.as_str()).ok_or(Error::FileMissing)
    }

    fn line_index(&'a self, id: usize, byte: usize) -> Result<usize, Error> {
        let file = self.files.get(id).ok_or(Error::FileMissing)?;
        Ok(file.lines.partition_point(|&start| start <= byte).saturating_sub(1))
    }

    fn line_range(&'a self, id: usize, line: usize) -> Result<Range<usize>, Error> {
        let file = self.files.get(id).ok_or(Error::FileMissing)?;
        let max = file.lines.len();
        let start = *file.lines.get(line).ok_or(Error::LineTooLarge { given: line, max })?;
        Ok(start..file.lines.get(line + 1).copied().unwrap_or(file.text.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_of_the_second_file_follow_the_first() {
        let mut sources = Sources::of("a.bt", "ab\ncd");
        assert_eq!(sources.add("b.bt", "x\nyz"), 6);
        assert_eq!(sources.location(4), Some(("a.bt", 2, 2)));
        assert_eq!(sources.location(8), Some(("b.bt", 2, 1)));
        assert_eq!(sources.text(Span::new(8, 10)), Some("yz"));
    }
}
