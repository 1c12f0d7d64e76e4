use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Vec<(String, String, u32)> {
    let document = Document::parse(Dialect::Properties, "t.conf", text);
    document
        .entries()
        .iter()
        .map(|entry| {
            (
                entry.key.clone(),
                entry.written.text().into_owned(),
                entry.place.line,
            )
        })
        .collect()
}

fn pair(text: &str) -> (String, String) {
    let mut entries = read(text);
    assert_eq!(entries.len(), 1, "{text:?}");
    let (key, value, _) = entries.remove(0);
    (key, value)
}

#[test]
fn three_separators_are_one() {
    for text in [
        "k=v", "k:v", "k v", "  k = v", "k\t:  v", "k   v", "\x0ck =v",
    ] {
        assert_eq!(pair(text), ("k".into(), "v".into()), "{text:?}");
    }
    assert_eq!(pair("k = = v"), ("k".into(), "= v".into()));
    assert_eq!(pair("k v = w"), ("k".into(), "v = w".into()));
    assert_eq!(pair("k"), ("k".into(), String::new()));
}

#[test]
fn a_comment_starts_only_a_line() {
    assert_eq!(
        pair("# x = 1\n  ! y = 2\nx = 1 # y"),
        ("x".into(), "1 # y".into())
    );
    assert_eq!(
        pair("x = a\\\n  # no comment"),
        ("x".into(), "a# no comment".into())
    );
    assert_eq!(
        pair("# ends in a backslash \\\nx = 1"),
        ("x".into(), "1".into())
    );
}

#[test]
fn lines_continue_after_an_odd_number_of_backslashes() {
    let text = "a = 1\\\n   2\\\r\n\t3\rb = 4\\\\\nc = 5\n\nd\\\n= 6\ne = 7\\";
    assert_eq!(
        read(text),
        [
            ("a".into(), "123".into(), 1),
            ("b".into(), "4\\".into(), 4),
            ("c".into(), "5".into(), 5),
            ("d".into(), "6".into(), 7),
            ("e".into(), "7".into(), 9),
        ]
    );
    assert_eq!(
        read("a = 1\\\n\nb = 2").len(),
        2,
        "an empty line ends a continued one"
    );
}

#[test]
fn escapes_are_those_of_java() {
    assert_eq!(
        pair(r"k = \\d+\t\u0041\u00e9\q\=x"),
        ("k".into(), "\\d+\tAéq=x".into())
    );
    assert_eq!(pair(r"a\ b\:c\=d = v"), ("a b:c=d".into(), "v".into()));
    assert_eq!(pair(r"k = \uD83D\uDE00"), ("k".into(), "😀".into()));
    for bad in [r"k = \u12", r"k = \u+123", r"k = \uD83D", r"\uzzzz = v"] {
        let document = Document::parse(Dialect::Properties, "t.conf", bad);
        assert!(document.problems().iter().any(Problem::is_error), "{bad}");
    }
}

#[test]
fn names_and_values_are_trimmed() {
    assert_eq!(pair("k =  v w \t "), ("k".into(), "v w".into()));
    assert_eq!(pair(r"k = \u0020\tv\n"), ("k".into(), "v".into()));
}

#[test]
fn the_last_of_two_holds_and_is_told() {
    let document = Document::parse(Dialect::Properties, "t.conf", "k = 1\nj = 2\nk = 3");
    assert_eq!(
        document
            .get("k")
            .map(|entry| entry.written.text().into_owned()),
        Some("3".into())
    );
    assert_eq!(
        document
            .problems()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["t.conf:3: warning: k: given twice, at line 1 and here; this one holds"]
    );
}

fn escape(text: &str, spaces_too: bool) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        match letter {
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            '\x0c' => escaped.push_str("\\f"),
            ' ' if !spaces_too => escaped.push(' '),
            '\\' | '=' | ':' | '#' | '!' | ' ' => escaped.extend(['\\', letter]),
            'a' => escaped.push_str("\\u0061"),
            'z' => escaped.push_str("\\\n   z"),
            other => escaped.push(other),
        }
    }
    escaped
}

proptest! {
    #[test]
    fn what_was_written_is_read(pairs in proptest::collection::vec(
        ("[a-z.=:# \\\\é]{0,12}[a-z]", "[!-~€😀]([ -~\t\n\r€😀]{0,20}[!-~€😀])?", 0..4usize), 0..8))
    {
        let mut text = String::new();
        let mut expected: Vec<(String, String)> = Vec::new();
        for (key, value, form) in &pairs {
            let key = key.trim_start().to_owned();
            let joint = ["=", " = ", ":", " "][*form];
            text.push_str(&format!("{}{joint}{}\n# comment\n\n", escape(&key, true), escape(value, false)));
            match expected.iter_mut().find(|(own, _)| *own == key) {
                Some(own) => own.1 = value.clone(),
                None => expected.push((key, value.clone())),
            }
        }
        let found: Vec<_> = read(&text).into_iter().map(|(key, value, _)| (key, value)).collect();
        prop_assert_eq!(found, expected);
    }
}
