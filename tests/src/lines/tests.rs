use super::*;

fn check(sent: &[(u64, u64)], seen: &[u64]) -> Verdict {
    let mut check = LineCheck::new();
    for (lane, lines) in sent {
        check = check.expect_lane(*lane, *lines);
    }
    for number in seen {
        check.line(format!("{number:012} text\n").as_bytes());
    }
    check.finish()
}

#[test]
fn a_block_holds_numbered_lines_of_one_length_and_the_word_in_every_second() {
    let mut block = Block::new();
    block.renumber(12_034);
    let lines: Vec<&[u8]> = block
        .first(BLOCK_LINES)
        .split_inclusive(|b| *b == b'\n')
        .collect();
    assert_eq!(lines.len(), usize::try_from(BLOCK_LINES).unwrap());
    for (line, number) in lines.iter().zip(12_034 * BLOCK_LINES..) {
        assert_eq!(line.len(), LINE_BYTES);
        assert_eq!(line_number(line), Some(number));
        let found = memchr::memmem::find(line, FILTER_WORD.as_bytes());
        assert_eq!(found.is_some(), number % 2 == 1, "line {number}");
    }
}

#[test]
fn a_part_of_a_block_is_cut_at_a_line() {
    let block = Block::new();
    assert_eq!(block.first(3).len(), 3 * LINE_BYTES);
    assert_eq!(block.first(u64::MAX).len(), block.first(BLOCK_LINES).len());
}

#[test]
fn all_lines_once_and_in_order_are_clean() {
    let verdict = check(&[(0, 3), (2, 2)], &[0, 2_000_000_000, 1, 2_000_000_001, 2]);
    assert!(verdict.is_clean());
    assert_eq!(
        verdict,
        Verdict {
            lines: 5,
            ..Verdict::default()
        }
    );
}

#[test]
fn a_lost_line_is_named() {
    let verdict = check(
        &[(0, 200)],
        &(0..200).filter(|n| *n != 130).collect::<Vec<_>>(),
    );
    assert_eq!((verdict.lost, verdict.disordered), (1, 0));
    assert_eq!(verdict.first_trouble.as_deref(), Some("line 130 lost"));
    assert_eq!(check(&[(0, 64)], &(0..63).collect::<Vec<_>>()).lost, 1);
}

#[test]
fn a_doubled_line_is_named() {
    let verdict = check(&[(0, 3)], &[0, 1, 1, 2]);
    assert_eq!(
        (verdict.doubled, verdict.lost, verdict.disordered),
        (1, 0, 0)
    );
    let trouble = "as line 3 came line 1 a second time";
    assert_eq!(verdict.first_trouble.as_deref(), Some(trouble));
}

#[test]
fn disorder_counts_within_a_lane_only() {
    let verdict = check(&[(0, 3)], &[0, 2, 1]);
    assert_eq!((verdict.disordered, verdict.lost), (1, 0));
    assert!(check(&[(0, 1), (1, 1)], &[1_000_000_000, 0]).is_clean());
}

#[test]
fn strange_lines_are_not_taken_for_sent_ones() {
    let mut check = LineCheck::new().expect_lane(0, 1);
    check.line(b"hello");
    check.line(b"000000000001 was not sent");
    check.line(b"005000000000 nor this");
    check.line(b"000000000000 but this was");
    let verdict = check.finish();
    assert_eq!((verdict.strange, verdict.lost), (3, 0));
    assert_eq!(
        verdict.first_trouble.as_deref(),
        Some("as line 1 came a line without a number: \"hello\"")
    );
}

#[test]
fn reads_rolled_files_in_the_order_of_their_numbers() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("1700000000100-1", "000000000003\n"),
        ("1700000000099-10", "000000000002\n"),
        ("1700000000099-2", "000000000000\n000000000001"),
        ("1700000000099-3", ""),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let mut check = LineCheck::new().expect_lane(0, 4);
    check.folder(folder.path()).unwrap();
    let verdict = check.finish();
    assert!(verdict.is_clean(), "{verdict:?}");
}
