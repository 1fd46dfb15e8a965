//! Output of working attempts.

use domain::TaskId;

use super::Rig;
use super::world::{ME, World, handed_back, success};
use crate::command::AppendOutput;
use crate::outcome::{Appended, ClaimedTask};

fn piece(claimed: &ClaimedTask, text: &str) -> AppendOutput {
    AppendOutput {
        task: claimed.task,
        attempt: claimed.attempt,
        text: text.into(),
        bytes_max: 1_000,
        follows_cut: false,
        after_bytes: None,
        reporter: None,
    }
}

/// All output of a task: each piece, and whether something was cut behind it.
fn shown<R: Rig>(world: &World<R>, claimed: &ClaimedTask) -> Vec<(String, bool)> {
    let pieces = world.ask(|readers| readers.output(ME, claimed.task, (0, 0), 10)).unwrap();
    pieces.into_iter().map(|piece| (piece.text, piece.is_truncated)).collect()
}

fn pairs(expected: &[(&str, bool)]) -> Vec<(String, bool)> {
    expected.iter().map(|(text, is_truncated)| ((*text).to_owned(), *is_truncated)).collect()
}

pub(super) fn pieces_come_back_in_order_from_where_one_left_off<R: Rig>() {
    let mut world = World::<R>::new();
    let claimed = world.working("ada");
    world.apply(piece(&claimed, "one"));
    world.apply(piece(&claimed, "two"));
    world.finish(claimed.task, 1, handed_back());
    let lane = world.task(claimed.task).lane;
    let again = world.claim(lane, claimed.agent, 1).remove(0);
    assert_eq!(world.apply(piece(&again, "three")), Appended::Done { stored_bytes: 5, is_truncated: false });
    let read = |after, limit| {
        let pieces = world.ask(|readers| readers.output(ME, claimed.task, after, limit)).unwrap();
        pieces.into_iter().map(|piece| (piece.attempt, piece.chunk, piece.text)).collect::<Vec<_>>()
    };
    let all = [(1, 1, "one".to_owned()), (1, 2, "two".to_owned()), (2, 1, "three".to_owned())];
    assert_eq!(read((0, 0), 10), all);
    assert_eq!(read((1, 1), 10), all[1..]);
    assert_eq!(read((1, 1), 1), all[1..2]);
    assert_eq!(read((1, 2), 10), all[2..]);
    assert_eq!(read((2, 1), 10), []);
    assert_eq!(world.ask(|readers| readers.output(ME, TaskId::from_raw(4_711), (0, 0), 1)), None);
}

pub(super) fn output_beyond_its_limit_is_cut_between_characters_and_marked<R: Rig>() {
    let mut world = World::<R>::new();
    let claimed = world.working("ada");
    let small = |text: &str| AppendOutput { bytes_max: 6, ..piece(&claimed, text) };
    assert_eq!(world.apply(small("abc")), Appended::Done { stored_bytes: 3, is_truncated: false });
    assert_eq!(world.apply(small("ää")), Appended::Done { stored_bytes: 5, is_truncated: true });
    assert_eq!(world.apply(small("x")), Appended::Done { stored_bytes: 5, is_truncated: true });
    let pieces = world.ask(|readers| readers.output(ME, claimed.task, (0, 0), 10)).unwrap();
    let shown: Vec<_> = pieces.iter().map(|piece| (piece.text.as_str(), piece.is_truncated)).collect();
    assert_eq!(shown, [("abc", false), ("ä", true)]);
    let full = world.working("bob");
    let exact = |text: &str| AppendOutput { bytes_max: 3, ..piece(&full, text) };
    assert_eq!(world.apply(exact("abc")), Appended::Done { stored_bytes: 3, is_truncated: false });
    assert_eq!(world.apply(exact("")), Appended::Done { stored_bytes: 3, is_truncated: false });
    assert_eq!(world.apply(exact("d")), Appended::Done { stored_bytes: 3, is_truncated: true });
    let pieces = world.ask(|readers| readers.output(ME, full.task, (0, 0), 10)).unwrap();
    assert_eq!((pieces.len(), pieces[0].is_truncated), (1, true), "the last piece is marked");
}

pub(super) fn what_follows_a_cut_is_stored_and_the_piece_before_it_marked<R: Rig>() {
    let mut world = World::<R>::new();
    let claimed = world.working("ada");
    let after_cut = |text: &str| AppendOutput { follows_cut: true, ..piece(&claimed, text) };
    world.apply(piece(&claimed, "one"));
    world.apply(piece(&claimed, "two"));
    assert_eq!(world.apply(after_cut("three")), Appended::Done { stored_bytes: 11, is_truncated: true });
    assert_eq!(
        world.apply(piece(&claimed, "four")),
        Appended::Done { stored_bytes: 15, is_truncated: false },
        "the tail may come in several pieces"
    );
    assert_eq!(
        shown(&world, &claimed),
        pairs(&[("one", false), ("two", true), ("three", false), ("four", false)])
    );
    let first = world.working("bob");
    let nothing_before = AppendOutput { follows_cut: true, ..piece(&first, "all") };
    assert_eq!(world.apply(nothing_before), Appended::Done { stored_bytes: 3, is_truncated: true });
    assert_eq!(shown(&world, &first), pairs(&[("all", false)]));
    let empty = AppendOutput { follows_cut: true, ..piece(&first, "") };
    assert_eq!(world.apply(empty), Appended::Done { stored_bytes: 3, is_truncated: true });
    assert_eq!(shown(&world, &first), pairs(&[("all", true)]), "a cut at the very end is marked, too");
}

pub(super) fn what_follows_a_cut_takes_no_more_than_its_room<R: Rig>() {
    let mut world = World::<R>::new();
    let claimed = world.working("ada");
    let within =
        |bytes_max, follows_cut, text: &str| AppendOutput { bytes_max, follows_cut, ..piece(&claimed, text) };
    // The store cut it itself; a sender that knows better still finds what room there is.
    world.apply(within(4, false, "abcdef"));
    assert_eq!(
        world.apply(within(6, false, "g")),
        Appended::Done { stored_bytes: 4, is_truncated: true },
        "without a word of a cut, nothing goes behind one"
    );
    let answer = world.apply(within(6, true, "xyz"));
    assert_eq!(answer, Appended::Done { stored_bytes: 6, is_truncated: true });
    assert_eq!(shown(&world, &claimed), pairs(&[("abcd", true), ("xy", true)]));
    let answer = world.apply(within(6, true, "more"));
    assert_eq!(answer, Appended::Done { stored_bytes: 6, is_truncated: true });
    assert_eq!(shown(&world, &claimed).len(), 2, "no room is no piece");
}

pub(super) fn a_piece_that_is_sent_again_is_stored_once<R: Rig>() {
    let mut world = World::<R>::new();
    let claimed = world.working("ada");
    let after = |bytes, text: &str| AppendOutput { after_bytes: Some(bytes), ..piece(&claimed, text) };
    for _ in 0..3 {
        assert_eq!(world.apply(after(0, "one")), Appended::Done { stored_bytes: 3, is_truncated: false });
    }
    for _ in 0..2 {
        assert_eq!(world.apply(after(3, "one")), Appended::Done { stored_bytes: 6, is_truncated: false });
    }
    let after_cut = AppendOutput { follows_cut: true, ..after(6, "end") };
    for is_truncated in [true, false] {
        assert_eq!(world.apply(after_cut.clone()), Appended::Done { stored_bytes: 9, is_truncated });
    }
    assert_eq!(shown(&world, &claimed), pairs(&[("one", false), ("one", true), ("end", false)]));
}

pub(super) fn only_the_present_attempt_may_write<R: Rig>() {
    let mut world = World::<R>::new();
    let claimed = world.working("ada");
    assert_eq!(world.apply(AppendOutput { attempt: 2, ..piece(&claimed, "x") }), Appended::Stale);
    let nobody = AppendOutput { task: TaskId::from_raw(4_711), ..piece(&claimed, "x") };
    assert_eq!(world.apply(nobody), Appended::NotFound);
    world.finish(claimed.task, 1, success());
    assert_eq!(world.apply(piece(&claimed, "x")), Appended::Stale);
}
