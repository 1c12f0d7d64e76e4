use super::*;

fn literal(pattern: &str) -> Option<String> {
    match JavaPattern::new(pattern).expect("compiles") {
        JavaPattern::Literal(bytes) => Some(String::from_utf8(bytes).expect("UTF-8")),
        JavaPattern::Everything | JavaPattern::Regex(_) => None,
    }
}

fn finds(pattern: &str, body: &[u8]) -> bool {
    match JavaPattern::new(pattern).expect("compiles") {
        JavaPattern::Everything => true,
        JavaPattern::Literal(bytes) => memchr::memmem::find(body, &bytes).is_some(),
        JavaPattern::Regex(regex) => regex.is_match(body),
    }
}

fn refused(pattern: &str) -> String {
    JavaPattern::new(pattern).expect_err("refused").to_string()
}

#[test]
fn plain_text_is_a_literal() {
    for (pattern, text) in [
        ("ERROR", Some("ERROR")),
        ("status=500 ", Some("status=500 ")),
        (r"10\.0\.0\.1", Some("10.0.0.1")),
        (r"\Q[a.b]*\E!", Some("[a.b]*!")),
        (r"\Qopen", Some("open")),
        (r"\<\-\>", Some("<->")),
        ("Grüße", Some("Grüße")),
        ("a.c", None),
        ("^a", None),
        ("a$", None),
        ("a|b", None),
        ("(a)", None),
        ("[a]", None),
        ("a{2}", None),
        ("a?", None),
        (r"\d", None),
        (r"\t", None),
    ] {
        assert_eq!(literal(pattern).as_deref(), text, "{pattern}");
    }
}

#[test]
fn some_patterns_are_found_everywhere() {
    for pattern in [".*", ""] {
        assert!(matches!(
            JavaPattern::new(pattern),
            Ok(JavaPattern::Everything)
        ));
    }
    assert!(finds(r"\Q\E", b"empty text is everywhere"));
}

#[test]
fn patterns_find_what_they_find_in_java() {
    let cases: &[(&str, &[u8], bool)] = &[
        (r"^\d+$", b"0123", true),
        (r"^\d+$", "\u{0663}".as_bytes(), false),
        (r"^\w+$", "\u{e9}".as_bytes(), false),
        (r"^[\w.]+$", b"a.b_1", true),
        (r"[^\d]", b"123", false),
        (r"a\sb", b"a\x0bb", true),
        (r"\Aa\z", b"a", true),
        (r"foo$", b"foo", true),
        (r"foo$", b"foo\r", true),
        (r"foo$", b"foo\r\n", true),
        (r"foo$", b"foo\n\n", false),
        (r"foo\Z", b"foo\n", true),
        (r"foo\z", b"foo\n", false),
        (r"(?m)foo$", b"foo\nbar", true),
        (r"^foo.*bar$", b"foo and bar\r", true),
        (r"(?i)error", b"ErRoR", true),
        (r"(?i)error", b"warn", false),
        (r"(?u)\d", b"1", true),
        (r"(?iu:ERR)or", b"error", true),
        (r"a\hb", b"a\tb", true),
        (r"a\Rb", b"a\r\nb", true),
        (r"\x41\u0042", b"AB", true),
        (r"a{2,3}?b", b"aab", true),
        (r"a{2}", b"a", false),
        (r"(?<name>x)y", b"xy", true),
        (r"[a-z&&[^aeiou]]", b"e", false),
        (r"[a-z&&[^aeiou]]", b"t", true),
        (r"\Qa+\E+b", b"a++b", true),
        (r"[\Q]\E]", b"]", true),
        (r"x.y", b"x\xFFy", false),
        ("Gr\u{fc}n.*", "Gr\u{fc}n".as_bytes(), true),
    ];
    for (pattern, body, found) in cases {
        assert_eq!(finds(pattern, body), *found, "{pattern} in {body:?}");
    }
}

#[test]
fn what_the_engine_does_not_have_is_refused_with_its_place() {
    for (pattern, expected) in [
        ("a(?=b)", "look-ahead is not supported at character 2"),
        ("(?!b)", "look-ahead is not supported at character 1"),
        (
            "\u{e4}\u{e4}(?<=b)",
            "look-behind is not supported at character 3",
        ),
        ("(?<!b)", "look-behind is not supported at character 1"),
        ("(?>a)", "atomic groups are not supported at character 1"),
        (r"(a)\1", "back references are not supported at character 4"),
        (
            r"(?<n>a)\k<n>",
            "back references are not supported at character 8",
        ),
        ("a++", "possessive repeats are not supported at character 3"),
        (
            "a{2}+",
            "possessive repeats are not supported at character 5",
        ),
        ("(?U)a", "the flag U is not supported at character 1"),
        ("a\\", "a backslash with nothing behind it at character 2"),
        ("ab(c", "unclosed group at character 3"),
        (
            "[z-a]",
            "invalid character class range, the start must be <= the end at character 2",
        ),
    ] {
        assert_eq!(refused(pattern), expected, "{pattern}");
    }
}

#[test]
fn a_pattern_that_would_fill_the_memory_is_refused() {
    assert!(refused("(((a{1000}){1000}){1000})").contains("size limit"));
}
