//! As much of Rust's syntax as the rules need: what is code and what is a comment or a literal,
//! where functions and test modules begin and end.
//!
//! Not a parser: macros are read as if their input were plain code, and a `fn` in them counts.

/// A function in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// The line of the word `fn`, counted from 1.
    pub(crate) line: usize,
    /// Lines from the word `fn` to the closing brace, both included.
    pub(crate) lines: usize,
}

/// The text with every character of comments and literals but the line ends replaced by a blank.
/// Quotes stay. Every line keeps its number, but not its length in bytes.
pub(crate) fn code_only(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut place = 0;
    while let Some(rest) = characters.get(place..).filter(|rest| !rest.is_empty()) {
        let skipped = comment(rest).or_else(|| literal(rest, code.chars().next_back()));
        let length = skipped.unwrap_or(1).min(rest.len());
        for character in rest.iter().take(length) {
            let keep = skipped.is_none() || *character == '\n';
            code.push(if keep { *character } else { ' ' });
        }
        place += length;
    }
    code
}

/// The length of the comment that begins here.
fn comment(rest: &[char]) -> Option<usize> {
    match rest {
        ['/', '/', ..] => Some(rest.iter().take_while(|c| **c != '\n').count()),
        ['/', '*', ..] => {
            let mut depth = 0_usize;
            let mut place = 0;
            while let Some(pair) = rest.get(place..place + 2) {
                match pair {
                    ['/', '*'] => depth += 1,
                    ['*', '/'] => depth -= 1,
                    _ => {
                        place += 1;
                        continue;
                    }
                }
                place += 2;
                if depth == 0 {
                    return Some(place);
                }
            }
            Some(rest.len())
        }
        _ => None,
    }
}

/// The length of the string, byte string, raw string or character that begins here. `before` is
/// the character before it: within a word, no letter begins a literal.
fn literal(rest: &[char], before: Option<char>) -> Option<usize> {
    match rest {
        ['"', ..] => Some(quoted(rest, '"')),
        ['\'', '\\', ..] => Some(quoted(rest, '\'')),
        ['\'', _, '\'', ..] => Some(3),
        ['b' | 'c' | 'r', ..] if !before.is_some_and(is_word) => prefixed(rest),
        _ => None,
    }
}

/// A literal with one of the prefixes b, c, r, br, cr.
fn prefixed(rest: &[char]) -> Option<usize> {
    let letters = rest
        .iter()
        .take_while(|c| matches!(c, 'b' | 'c' | 'r'))
        .count();
    let after = rest.get(letters..)?;
    let raw = rest.get(letters - 1) == Some(&'r');
    if raw && letters <= 2 {
        return raw_string(after).map(|length| letters + length);
    }
    match after.first() {
        Some('"') if letters == 1 => Some(1 + quoted(after, '"')),
        Some('\'') if rest.first() == Some(&'b') && letters == 1 => Some(1 + quoted(after, '\'')),
        _ => None,
    }
}

/// `#…"…"#…`, from the first number sign or quote.
fn raw_string(rest: &[char]) -> Option<usize> {
    let signs = rest.iter().take_while(|c| **c == '#').count();
    if rest.get(signs) != Some(&'"') {
        return None;
    }
    let mut place = signs + 1;
    while let Some(character) = rest.get(place) {
        place += 1;
        let closing = rest.get(place..place + signs);
        if *character == '"' && closing.is_some_and(|after| after.iter().all(|c| *c == '#')) {
            return Some(place + signs);
        }
    }
    Some(rest.len())
}

/// A literal between two quotes, in which a backslash takes the next character's meaning.
fn quoted(rest: &[char], quote: char) -> usize {
    let mut place = 1;
    while let Some(character) = rest.get(place) {
        place += match character {
            '\\' => 2,
            character if *character == quote => return place + 1,
            _ => 1,
        };
    }
    rest.len()
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The functions with a body in `code`, which is the result of [`code_only`]. A function within
/// another one is found too.
pub(crate) fn functions(code: &str) -> Vec<Function> {
    let mut functions = Vec::new();
    for place in words(code, "fn") {
        let after = code.get(place + 2..).unwrap_or_default().trim_start();
        let name: String = after.chars().take_while(|c| is_word(*c)).collect();
        if name.is_empty() {
            // A type such as `fn(u8)`.
            continue;
        }
        let from_word = code.get(place..).unwrap_or_default();
        if let Some(body) = body_start(from_word) {
            let end = body + block_length(from_word.get(body..).unwrap_or_default());
            let lines = count_lines(from_word.get(..end).unwrap_or(from_word)) + 1;
            functions.push(Function {
                name,
                line: line_at(code, place),
                lines,
            });
        }
    }
    functions
}

/// Where the braces of the body open; nothing for a declaration that ends with a semicolon.
fn body_start(text: &str) -> Option<usize> {
    let mut depth = 0_i32;
    for (place, character) in text.char_indices() {
        match character {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            '{' if depth == 0 => return Some(place),
            ';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// The bytes from an opening brace to behind the one that closes it.
fn block_length(text: &str) -> usize {
    let mut depth = 0_i32;
    for (place, character) in text.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return place + character.len_utf8();
        }
    }
    text.len()
}

/// The places at which `word` stands alone in `code`.
pub(crate) fn words(code: &str, word: &str) -> Vec<usize> {
    let alone = |place: &usize| {
        let before = code.get(..*place).and_then(|text| text.chars().next_back());
        let after = code
            .get(place + word.len()..)
            .and_then(|text| text.chars().next());
        // `r#fn` is a name.
        !before.is_some_and(|c| is_word(c) || c == '#') && !after.is_some_and(is_word)
    };
    code.match_indices(word)
        .map(|(place, _)| place)
        .filter(alone)
        .collect()
}

/// The lines, counted from 1, that belong to modules marked `#[cfg(test)]`, as pairs of the first
/// (that of the mark) and the last. `code` is the result of [`code_only`].
pub(crate) fn test_modules(code: &str) -> Vec<(usize, usize)> {
    let mut modules = Vec::new();
    for mark in ["#[cfg(test)]", "#[cfg(all(test,"] {
        for (place, _) in code.match_indices(mark) {
            let marked = code.get(place..).unwrap_or_default();
            let Some(body) = body_start(marked) else {
                continue;
            };
            let head = marked.get(..body).unwrap_or_default();
            let is_module = words(head, "mod").len() == 1 && words(head, "fn").is_empty();
            if is_module {
                let first = line_at(code, place);
                let end = body + block_length(marked.get(body..).unwrap_or_default());
                modules.push((
                    first,
                    first + count_lines(marked.get(..end).unwrap_or(marked)),
                ));
            }
        }
    }
    modules
}

/// The line of a byte, counted from 1.
pub(crate) fn line_at(text: &str, place: usize) -> usize {
    1 + count_lines(text.get(..place).unwrap_or(text))
}

fn count_lines(text: &str) -> usize {
    text.matches('\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(name: &str, line: usize, lines: usize) -> Function {
        Function {
            name: name.to_owned(),
            line,
            lines,
        }
    }

    #[test]
    fn comments_and_literals_are_blank_and_lines_stay() {
        let sample = concat!(
            "a /* x /* y */ { \n } */ b // c {\n",
            "\"s{\\\"}\" d 'e' '\\'' '{' f<'g>(&'g str) b\"h{\" br#\"i\"{\"# r\"\\\" j b'{' c\"k{\"\n",
            "r#type barb"
        );
        let code = code_only(sample);
        assert_eq!(code.lines().count(), sample.lines().count());
        let left: Vec<&str> = code.split_whitespace().collect();
        assert_eq!(
            left,
            ["a", "b", "d", "f<'g>(&'g", "str)", "j", "r#type", "barb"]
        );
    }

    #[test]
    fn an_unfinished_literal_ends_with_the_file() {
        for sample in ["\"abc", "r#\"abc\"", "/* abc", "'\\"] {
            assert_eq!(code_only(sample).trim(), "", "{sample}");
        }
    }

    #[test]
    fn functions_are_counted_from_their_word_to_their_brace() {
        let sample = "
            /// fn not_me() {}
            pub async fn one(list: [u8; 3]) -> [u8; 2]
            where
                u8: Copy,
            {
                let text = \"}\";
                fn inner() {}
            }
            trait T { fn declared(&self) -> fn(u8) -> u8; fn given(&self) { }
            }
            fn last() { if x { '}' } }
        ";
        let found = functions(&code_only(sample));
        let wanted = [
            function("one", 3, 7),
            function("inner", 8, 1),
            function("given", 10, 1),
            function("last", 12, 1),
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_test_module_reaches_from_its_mark_to_its_brace() {
        let sample = "
            fn a() {}
            #[cfg(test)]
            use x::y;
            #[cfg(test)]
            fn helper() {}
            #[cfg(test)]
            #[expect(x)]
            mod tests {
                fn b() {}
            }
            #[cfg(test)]
            mod elsewhere;
        ";
        assert_eq!(test_modules(&code_only(sample)), [(7, 11)]);
    }

    #[test]
    fn a_word_stands_alone() {
        assert_eq!(words("fn fnord r#fn my_fn fn", "fn"), [0, 20]);
        assert_eq!(line_at("a\nb\nc", 4), 3);
    }
}
