use super::*;

/// The smallest component: it imports and exports nothing.
const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

const EXAMPLES: Examples = &[("one", EMPTY), ("two", b"not wasm")];

#[test]
fn a_component_is_read_from_a_file_or_by_the_name_of_an_example() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.wasm");
    std::fs::write(&path, b"abc").unwrap();
    assert_eq!(&*read(path.to_str().unwrap(), EXAMPLES).unwrap(), b"abc");
    assert_eq!(&*read("example:one", EXAMPLES).unwrap(), EMPTY);
    let text = |named, examples| read(named, examples).unwrap_err().to_string();
    assert!(text("example:three", EXAMPLES).ends_with("one, two"));
    assert!(text("example:one", &[]).ends_with("none"));
    assert!(text("no/such.wasm", EXAMPLES).contains("cannot read component no/such.wasm"));
}

#[test]
fn a_component_of_no_world_is_looked_at_and_refused() {
    let inspection = inspect(EMPTY, None).unwrap();
    assert_eq!((inspection.kind, inspection.bytes), (None, 8));
    assert_eq!(inspection.digest.len(), 64);
    let refused = inspection.refused.unwrap();
    assert!(refused.contains("source, interceptor, sink"), "{refused}");
    assert!(inspect(b"\0asm\x01\0\0\0", None).is_err(), "a core module");
}

#[tokio::test]
async fn what_is_no_component_does_not_run() {
    let options = RunOptions {
        name: "x".to_owned(),
        kind: None,
        settings: Vec::new(),
        batch_events: 10,
        rounds: 1,
        source_events: 1,
        with_headers: false,
        cache_folder: None,
    };
    let mut open = || -> std::io::Result<Box<dyn std::io::BufRead>> { unreachable!() };
    for (bytes, word) in [(EMPTY, "no world"), (&b"hello"[..], "not a readable wasm")] {
        let error = run(bytes, &options, &mut open, &mut Vec::new()).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn kinds_are_called_by_their_worlds() {
    for kind in GuestKind::ALL {
        assert_eq!(GuestKind::of_word(kind.word()), Some(kind));
    }
    assert_eq!(GuestKind::of_word("channel"), None);
}
