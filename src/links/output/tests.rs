//! What the shaper promises, for any stream split in any way.

use proptest::prelude::*;

use super::*;

const SECRETS: [&str; 4] = ["hunter2", "pässwörd€", "overlap-lap", "lap-lap-top"];

fn secrets() -> Vec<Secret> {
    SECRETS.map(Secret::new).into()
}

/// What all of a stream is as text, read slowly and at once.
fn shaped(stream: &[u8], values: &[&str]) -> String {
    let text = String::from_utf8_lossy(stream).replace('\0', "\u{FFFD}");
    let mut shaped = String::new();
    let mut hidden_until = 0;
    for (at, letter) in text.char_indices() {
        let found =
            values.iter().filter(|value| text[at..].starts_with(**value)).map(|value| value.len()).max();
        if let Some(length) = found {
            if at >= hidden_until {
                shaped.push_str("***");
            }
            hidden_until = hidden_until.max(at + length);
        }
        if at >= hidden_until {
            shaped.push(letter);
        }
    }
    shaped
}

/// What comes out: the text before a cut, and the text after it.
struct Output {
    head: String,
    tail: Option<String>,
    longest_piece: usize,
}

impl Output {
    fn of(mut shaper: Shaper, stream: &[u8], lengths: &[usize], is_flushed: bool) -> Self {
        let mut pieces = Vec::new();
        let mut rest = stream;
        let mut lengths = lengths.iter().cycle();
        while !rest.is_empty() {
            let (part, later) = rest.split_at(rest.len().min(*lengths.next().unwrap()));
            shaper.push(Stream::Stdout, part);
            pieces.extend(std::iter::from_fn(|| shaper.take()));
            if is_flushed {
                pieces.extend(std::iter::from_fn(|| shaper.flush()));
            }
            rest = later;
        }
        pieces.extend(shaper.finish());
        assert!(pieces.iter().all(|piece| !piece.text.is_empty() && piece.text.len() <= PIECE_BYTES_MAX));
        let longest_piece = pieces.iter().map(|piece| piece.text.len()).max().unwrap_or_default();
        let cut = pieces.iter().position(|piece| piece.follows_cut).unwrap_or(pieces.len());
        let joined = |pieces: &[OutputPiece]| pieces.iter().map(|piece| &*piece.text).collect::<String>();
        let tail = (cut < pieces.len()).then(|| joined(&pieces[cut..]));
        assert!(pieces.iter().skip(cut + 1).all(|piece| !piece.follows_cut), "there is one cut");
        Self { head: joined(&pieces[..cut]), tail, longest_piece }
    }

    fn len(&self) -> usize {
        self.head.len() + self.tail.as_ref().map_or(0, String::len)
    }

    /// The tail without its marker, and how many bytes that says are cut.
    fn behind_marker(&self) -> Option<(u64, &str)> {
        let (cut, kept) = self.tail.as_ref()?.strip_prefix("\n[... ")?.split_once(" bytes cut ...]\n")?;
        Some((cut.parse().unwrap(), kept))
    }
}

fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let secret = (0..SECRETS.len(), 0..20_usize, 0..20_usize).prop_map(|(index, skip, count)| {
        SECRETS[index].bytes().skip(skip / 4).take(count).collect::<Vec<u8>>()
    });
    prop_oneof![
        4 => (0..SECRETS.len()).prop_map(|index| SECRETS[index].as_bytes().to_vec()),
        2 => secret,
        2 => "[a-z \n]{0,60}".prop_map(String::into_bytes),
        1 => "[äß€😀\\PC]{0,20}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..20),
        1 => Just(vec![0, 0xE2, 0x82, 0xF0, 0x9F, 0x98]),
        1 => prop::collection::vec(0x80..0xC0_u8, 0..9),
    ]
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(fragment(), 0..25).prop_map(|fragments| fragments.concat())
}

fn lengths() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![1..4_usize, 1..40_usize, 1..1_000_usize], 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_stream_in_any_parts_comes_out_bounded_whole_or_cut_once_and_without_secrets(
        stream in stream(), lengths in lengths(), bytes_max in 0..700_usize, is_flushed: bool,
    ) {
        let shaper = Shaper::new(u64::try_from(bytes_max).unwrap(), &secrets());
        let output = Output::of(shaper, &stream, &lengths, is_flushed);
        let whole = shaped(&stream, &SECRETS);
        let all = output.head.clone() + output.tail.as_deref().unwrap_or_default();
        prop_assert!(output.len() <= bytes_max, "{} of {bytes_max}", output.len());
        prop_assert!(!all.contains('\0'));
        for secret in SECRETS {
            prop_assert!(!all.contains(secret), "{secret} in {all:?}");
        }
        if shaped(&stream, &[]).len() <= bytes_max {
            prop_assert_eq!(&output.head, &whole);
            prop_assert!(output.tail.is_none());
        }
        prop_assert!(whole.starts_with(&output.head), "{:?} does not begin {whole:?}", output.head);
        match output.behind_marker() {
            Some((_, kept)) => prop_assert!(whole.ends_with(kept), "{kept:?} does not end {whole:?}"),
            None => prop_assert!(whole.ends_with(output.tail.as_deref().unwrap_or_default())),
        }
    }

    #[test]
    fn what_a_process_prints_on_one_stream_splits_nothing_on_the_other(
        stream in stream(), lengths in lengths(), bytes_max in 100..700_u64,
    ) {
        let mut shaper = Shaper::new(bytes_max, &secrets());
        let mut rest = stream.as_slice();
        for length in lengths.iter().cycle() {
            let (part, later) = rest.split_at(rest.len().min(*length));
            shaper.push(Stream::Stdout, part);
            shaper.push(Stream::Stderr, &[1]);
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        let pieces = shaper.finish();
        let shown: String = pieces.iter().map(|piece| &*piece.text).collect();
        let is_cut = pieces.iter().any(|piece| piece.follows_cut);
        let unbroken = shown.replace('\u{1}', "");
        for secret in SECRETS {
            prop_assert!(!unbroken.contains(secret), "{secret} in {shown:?}");
        }
        let whole = shaped(&stream, &SECRETS).replace('\u{1}', "");
        prop_assert!(is_cut || unbroken == whole, "{unbroken:?} is not {whole:?}");
    }

    #[test]
    fn the_marker_counts_what_is_missing_of_a_text(
        text in "[a-zäß€😀 \n]{200,900}", lengths in lengths(), bytes_max in 43..900_u64,
    ) {
        let output = Output::of(Shaper::new(bytes_max, &[]), text.as_bytes(), &lengths, false);
        let fits = u64::try_from(text.len()).unwrap() <= bytes_max;
        prop_assert_eq!(output.tail.is_none(), fits);
        if let Some((cut, kept)) = output.behind_marker() {
            prop_assert_eq!(cut, u64::try_from(text.len() - output.head.len() - kept.len()).unwrap());
            prop_assert!(cut > 0);
        }
    }
}

#[test]
fn a_long_output_comes_in_full_pieces_and_keeps_its_head_and_a_mebibyte_of_its_tail() {
    let stream: String = (0..2_000_000).map(|line| format!("€ {line}\n")).collect();
    let bytes_max = 8 * 1024 * 1024;
    let output = Output::of(Shaper::new(8 * 1024 * 1024, &[]), stream.as_bytes(), &[65_536], false);
    assert!((PIECE_BYTES_MAX - 2..=PIECE_BYTES_MAX).contains(&output.longest_piece));
    assert!((bytes_max - 50..=bytes_max).contains(&output.len()), "{}", output.len());
    assert!(stream.starts_with(&output.head));
    let (cut, tail) = output.behind_marker().unwrap();
    assert!(stream.ends_with(tail) && (1_048_000..=1_048_576).contains(&tail.len()));
    assert_eq!(cut, u64::try_from(stream.len() - output.head.len() - tail.len()).unwrap());
}

#[test]
fn a_beat_takes_what_is_there_but_not_what_may_be_the_beginning_of_a_secret_or_a_character() {
    let mut shaper = Shaper::new(1_000, &secrets());
    shaper.push(Stream::Stdout, "wait for hunt".as_bytes());
    assert!(shaper.take().is_none(), "it is no full piece");
    assert_eq!(&*shaper.flush().unwrap().text, "wait for ");
    assert!(shaper.flush().is_none());
    shaper.push(Stream::Stdout, b"er2 and hunters \xE2\x82");
    assert_eq!(&*shaper.flush().unwrap().text, "*** and hunters ");
    shaper.push(Stream::Stdout, b"\xAC");
    assert_eq!(&*shaper.flush().unwrap().text, "€");
    shaper.push(Stream::Stdout, b"hunt");
    assert_eq!(&*shaper.finish()[0].text, "hunt", "it was none");
}

#[test]
fn a_character_and_a_secret_stay_whole_when_the_other_stream_prints_in_their_middle() {
    let mut shaper = Shaper::new(1_000, &secrets());
    shaper.push(Stream::Stdout, b"key: hunt");
    shaper.push(Stream::Stderr, b"a warning \xE2\x82");
    shaper.push(Stream::Stdout, b"er2\n");
    shaper.push(Stream::Stderr, b"\xAC\n");
    let shown: String = shaper.finish().iter().map(|piece| &*piece.text).collect();
    assert_eq!(shown, "key: a warning ***\n\u{20AC}\n");
}

#[test]
fn a_message_shows_no_secret() {
    assert_eq!(masked("no such user: hunter2", &secrets()), "no such user: ***");
}
