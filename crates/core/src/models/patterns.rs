//! Which files of a repository are meant: patterns as Python's `fnmatch` and `huggingface_hub` read them.
//!
//! `globset` reads `[!]`, `[^a]`, `{a,b}`, `\` and `**` otherwise, so the rules are written here. They are those of
//! `huggingface_hub.utils.filter_repo_objects`: `\` means `/`, a pattern that ends with `/` means all below that folder,
//! `*` passes `/`, upper and lower case differ.

/// What one place of a pattern stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// `*`: any characters, or none.
    Any,
    /// `?`: one character, whichever.
    One,
    /// Itself.
    Exactly(char),
    /// `[…]`: one of these ranges, both ends included; `[!…]`: one of none of them.
    OneOf {
        is_negated: bool,
        ranges: Vec<(char, char)>,
    },
}

/// A pattern for paths in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    parts: Vec<Part>,
}

impl Pattern {
    /// Reads a pattern. Every text is one.
    #[must_use]
    pub fn new(text: &str) -> Pattern {
        let mut characters: Vec<char> = text.replace('\\', "/").chars().collect();
        if characters.last() == Some(&'/') {
            characters.push('*');
        }
        Pattern {
            parts: read(&characters),
        }
    }

    /// Whether it means the file at `path`. Takes time in proportion to the product of both lengths at most.
    #[must_use]
    pub fn is_match(&self, path: &str) -> bool {
        let path: Vec<char> = path.replace('\\', "/").chars().collect();
        let (mut part, mut place) = (0, 0);
        // Where to go on when what follows the last `*` does not fit: the `*` takes one character more.
        let mut last_any: Option<(usize, usize)> = None;
        loop {
            let fits = match (self.parts.get(part), path.get(place)) {
                (None, None) => return true,
                (Some(Part::Any), _) => {
                    last_any = Some((part, place));
                    part += 1;
                    continue;
                }
                (Some(one), Some(character)) => one.is_match(*character),
                _ => false,
            };
            if fits {
                (part, place) = (part + 1, place + 1);
                continue;
            }
            let Some((any, taken)) = last_any.filter(|(_, taken)| *taken < path.len()) else {
                return false;
            };
            last_any = Some((any, taken + 1));
            (part, place) = (any + 1, taken + 1);
        }
    }
}

impl Part {
    fn is_match(&self, character: char) -> bool {
        match self {
            Part::Any => false,
            Part::One => true,
            Part::Exactly(wanted) => *wanted == character,
            Part::OneOf { is_negated, ranges } => {
                let is_in = ranges
                    .iter()
                    .any(|(first, last)| (*first..=*last).contains(&character));
                is_in != *is_negated
            }
        }
    }
}

fn read(pattern: &[char]) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut place = 0;
    while let Some(character) = pattern.get(place) {
        place += 1;
        parts.push(match character {
            '*' if parts.last() == Some(&Part::Any) => continue,
            '*' => Part::Any,
            '?' => Part::One,
            '[' => match closing(pattern, place) {
                Some(end) => {
                    let inside = &pattern[place..end];
                    place = end + 1;
                    one_of(inside)
                }
                None => Part::Exactly('['),
            },
            other => Part::Exactly(*other),
        });
    }
    parts
}

/// The place of the `]` that closes what a `[` before `from` opens. A `]` that comes first means itself.
fn closing(pattern: &[char], from: usize) -> Option<usize> {
    let mut place = from;
    if pattern.get(place) == Some(&'!') {
        place += 1;
    }
    if pattern.get(place) == Some(&']') {
        place += 1;
    }
    (place..pattern.len()).find(|at| pattern[*at] == ']')
}

/// Reads what stands between `[` and `]`, as `fnmatch.translate` does. A range whose ends are in the wrong order holds
/// nothing; a `-` at either end means itself.
fn one_of(inside: &[char]) -> Part {
    let (is_negated, set) = match inside.split_first() {
        Some(('!', rest)) => (true, rest),
        _ => (false, inside),
    };
    let mut ranges = Vec::new();
    for (first, last) in ranges_of(set) {
        if first <= last {
            ranges.push((first, last));
        }
    }
    Part::OneOf { is_negated, ranges }
}

/// The ranges and single characters of a set. A `-` makes a range of its neighbours unless one of them is missing or
/// already the end of a range.
fn ranges_of(set: &[char]) -> Vec<(char, char)> {
    let mut ranges = Vec::new();
    let mut place = 0;
    while let Some(first) = set.get(place) {
        match (set.get(place + 1), set.get(place + 2)) {
            (Some('-'), Some(last)) => {
                ranges.push((*first, *last));
                place += 3;
            }
            _ => {
                ranges.push((*first, *first));
                place += 1;
            }
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, means: &[&str], means_not: &[&str]) {
        let read = Pattern::new(pattern);
        for path in means {
            assert!(read.is_match(path), "`{pattern}` means `{path}`");
        }
        for path in means_not {
            assert!(
                !read.is_match(path),
                "`{pattern}` does not mean `{path}`: {read:?}"
            );
        }
    }

    #[test]
    fn patterns_mean_what_they_mean_to_the_python_library() {
        check(
            "*.json",
            &["a.json", "sub/a.json", ".json"],
            &["a.JSON", "a.json5"],
        );
        check(
            "onnx/",
            &["onnx/a", "onnx/b/c", "onnx/"],
            &["onnx", "x/onnx/a"],
        );
        check(
            "model-0000?-of-*",
            &["model-00001-of-3"],
            &["model-0000-of-3"],
        );
        check("[ab]c", &["ac", "bc"], &["cc", "c"]);
        check("[!a]c", &["bc", "/c"], &["ac"]);
        check("[]x]", &["]", "x"], &["[]x]"]);
        check("[!]x]", &["a"], &["]", "x"]);
        check("[", &["["], &["]"]);
        check("[!]", &["[!]"], &["a"]);
        check("{a,b}", &["{a,b}"], &["a", "b"]);
        check("**/x", &["a/x", "a/b/x", "/x"], &["x"]);
        check("a\\b", &["a/b", "a\\b"], &["ab"]);
        check("", &[""], &["a"]);
        check("*", &["", "a/b"], &[]);
        check("é?", &["éà"], &["é"]);
        check("[b-a]", &[], &["a", "b", "-"]);
        check("[a-]", &["a", "-"], &["b"]);
        check("[^a]", &["^", "a"], &["b"]);
    }

    #[test]
    fn a_pattern_made_to_be_slow_is_not() {
        let pattern = Pattern::new(&"*a".repeat(500));
        assert!(!pattern.is_match(&"a".repeat(499)));
        assert!(!pattern.is_match(&("a".repeat(5_000) + "b")));
    }
}
