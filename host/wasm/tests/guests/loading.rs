//! Files that are not the component that is wanted, and the cache of compiled code.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use flumen_core::conformance::settings::settings;
use flumen_core::option::ComponentKind;
use flumen_core::{Fault, FaultKind, Side};
use flumen_wasm::Contract;

use crate::rig::{Rig, Through, batch, fixture, options_of};

fn refused(kind: ComponentKind, path: &Path) -> Fault {
    let row = flumen_wasm::rows().find(|row| row.kind == kind).unwrap();
    let settings = settings(row, &[("component", path.to_str().unwrap())]);
    let rig = Rig::new();
    let fault = rig.load(kind, "i1", &settings).err().unwrap();
    assert_eq!(
        (fault.kind(), fault.side()),
        (FaultKind::Configuration, Side::Operator)
    );
    let text = fault.to_string();
    assert!(text.contains(path.to_str().unwrap()), "{text}");
    fault
}

#[test]
fn a_file_that_is_not_the_wanted_component_is_refused_with_a_clear_word() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.wasm");
    let text = refused(ComponentKind::Interceptor, &missing).to_string();
    assert!(text.contains("No such file"), "{text}");
    let cases: [(&str, &[u8], &str); 3] = [
        ("text.wasm", b"not wasm at all", "not a readable wasm file"),
        ("module.wasm", b"\0asm\x01\0\0\0", "core module"),
        (
            "empty.wasm",
            b"\0asm\x0d\0\x01\0",
            "exports no world of flumen:plugin",
        ),
    ];
    for (name, bytes, reason) in cases {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let text = refused(ComponentKind::Interceptor, &path).to_string();
        assert!(text.contains(reason), "{text}");
    }
    let sound = fs::read(fixture("transform")).unwrap();
    let cut = folder.path().join("cut.wasm");
    fs::write(&cut, &sound[..sound.len() / 2]).unwrap();
    let text = refused(ComponentKind::Interceptor, &cut).to_string();
    assert!(text.contains("not a readable wasm file"), "{text}");
    let text = refused(ComponentKind::Sink, &fixture("transform")).to_string();
    assert!(
        text.contains("world interceptor, but the world sink is needed"),
        "{text}"
    );
}

/// The imports are names in the file, so a name of the same length makes it another component.
#[test]
fn another_version_and_every_import_that_is_not_granted_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("changed.wasm");
    let changed = |from: &str, to: &str| {
        let bytes = fs::read(fixture("transform")).unwrap();
        fs::write(&path, replaced(&bytes, from.as_bytes(), to.as_bytes())).unwrap();
        refused(ComponentKind::Interceptor, &path).to_string()
    };
    let text = changed("interceptor-api@0.1.0", "interceptor-api@0.3.0");
    assert!(text.contains("built for flumen:plugin@0.3.0"), "{text}");
    let text = changed("flumen:plugin/timers@0.1.0", "flumen:plugin/secret@0.1.0");
    assert!(
        text.contains("flumen:plugin/secret@0.1.0 (unknown here)"),
        "{text}"
    );
    let text = changed("wasi:cli/", "wasi:net/");
    assert!(
        text.contains("(this capability is not built yet)"),
        "{text}"
    );
    assert!(
        text.matches("wasi:net/").count() > 2,
        "each is named: {text}"
    );
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = bytes.to_vec();
    let mut found = false;
    for at in 0..bytes.len() - from.len() {
        if bytes[at..].starts_with(from) {
            bytes[at..at + from.len()].copy_from_slice(to);
            found = true;
        }
    }
    assert!(found);
    bytes
}

#[test]
fn a_component_says_what_it_is() {
    let contract = Contract::read(&fs::read(fixture("count")).unwrap()).unwrap();
    assert_eq!(contract.world(), Some(("0.1.0", "source")));
    assert!(
        contract
            .imports
            .iter()
            .any(|name| name == "flumen:plugin/state@0.1.0")
    );
}

#[tokio::test]
async fn compiled_code_is_kept_and_a_damaged_file_of_it_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let files = || -> Vec<_> {
        let entries = fs::read_dir(&cache).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let works = || async {
        let rig = Rig::with_cache(Some(cache.clone()));
        let guest = rig.interceptor("transform", &[("config.mode", "touch")]);
        let answer = guest.through(batch(["x"])).await.unwrap();
        assert!(answer.header("touched").is_some());
    };
    works().await;
    assert_eq!(
        fs::metadata(&cache).unwrap().permissions().mode() & 0o777,
        0o700
    );
    let [file] = files().try_into().unwrap();
    let sound = fs::read(&file).unwrap();
    works().await;
    for damaged in [
        vec![],
        sound[..sound.len() / 2].to_vec(),
        vec![0; sound.len()],
    ] {
        fs::write(&file, &damaged).unwrap();
        works().await;
        assert_eq!(
            fs::read(&file).unwrap().len(),
            sound.len(),
            "it was made anew"
        );
    }
    assert_eq!(files(), [file]);
}

#[test]
fn a_setting_that_is_no_text_is_named() {
    let rig = Rig::new();
    let settings = options_of(ComponentKind::Sink, "record", &[]);
    let settings = settings.with("config.x", flumen_core::settings::Value::Boolean(true));
    let fault = rig
        .load(ComponentKind::Sink, "k1", &settings)
        .err()
        .unwrap();
    assert!(fault.to_string().contains("config.x"), "{fault}");
}
