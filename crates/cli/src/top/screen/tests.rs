//! Screens compared with files, and what must be true of any.

use std::fs;
use std::path::Path;

use super::super::example;
use super::super::view::{After, Key};
use super::*;

/// The screen as text, of a terminal of this size.
fn shown(view: &mut View, picture: &Picture, (width, height): (usize, usize)) -> String {
    let scene = Scene {
        picture,
        notes: &[],
        nobody: "no dataflow runs in /project or below",
        every: "1 s",
    };
    let lines = screen(view, &scene, Size { width, height });
    assert!(lines.len() <= height, "{} lines of {height}", lines.len());
    for line in &lines {
        assert!(line.width() <= width, "{line:?} in {width}");
    }
    let selected = |line: &Line| if line.is_selected { "»" } else { "" };
    let lines = lines
        .iter()
        .map(|line| selected(line).to_owned() + &line.text());
    lines.collect::<Vec<String>>().join("\n")
}

fn view() -> View {
    View::new(None, "")
}

/// The screens in `tests/screens`, each after these keys in a terminal of this size; `UPDATE_EXPECT=1` renews them.
#[test]
fn each_table_is_drawn_as_its_file_says() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some_and(|value| value == "1");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/screens");
    let picture = example::picture(&[1, 10, 11]);
    let keys = |text: &str| text.chars().map(Key::Character).collect::<Vec<Key>>();
    let and = |text: &str, key: Key| [keys(text), vec![key]].concat();
    for (name, keys, size) in [
        ("nodes", keys(""), (140, 10)),
        ("nodes-80", keys(""), (80, 24)),
        ("nodes-narrow", keys(""), (60, 10)),
        ("nodes-phone", keys(""), (32, 7)),
        ("nodes-short", keys(""), (80, 3)),
        ("nodes-by-cpu", keys(">>>>"), (100, 10)),
        ("nodes-reversed", keys(">r"), (100, 10)),
        ("nodes-filtered", and("/DET", Key::Enter), (100, 10)),
        ("nodes-filtering", keys("/zebra"), (100, 10)),
        ("nodes-selected", and("", Key::Down), (100, 10)),
        ("nodes-details", and("jj", Key::Enter), (100, 24)),
        ("nodes-paused", keys(" "), (100, 10)),
        ("help", keys("?"), (90, 44)),
        ("help-narrow", keys("?"), (40, 30)),
        ("dataflows", keys("1"), (140, 10)),
        ("groups", keys("3"), (140, 10)),
        ("edges", keys("4"), (160, 10)),
        ("edges-80", keys("4"), (80, 10)),
        ("edges-100", keys("4"), (100, 10)),
        ("edges-narrow", keys("4"), (60, 10)),
        ("peers", keys("5"), (100, 10)),
        ("downloads", keys("6"), (100, 10)),
        ("actors", keys("7"), (100, 10)),
        ("pool", keys("8"), (100, 10)),
    ] {
        let mut view = view();
        // A person sees a screen before they press a key.
        shown(&mut view, &picture, size);
        for key in keys {
            assert_ne!(view.press(key), After::Leave);
            shown(&mut view, &picture, size);
        }
        let text = shown(&mut view, &picture, size) + "\n";
        let file = folder.join(name).with_extension("txt");
        if update {
            fs::write(&file, &text).unwrap();
        }
        let expected = fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(text, expected, "{name}; UPDATE_EXPECT=1 renews the screens");
    }
}

#[test]
fn any_size_has_a_screen_that_fits() {
    let picture = example::picture(&[1, 2]);
    for keys in ["", "/x", "?", "4", "j\n"] {
        for width in [0, 1, 2, 5, 17, 33, 80, 300] {
            for height in [0, 1, 2, 3, 4, 5, 6, 7, 9, 30] {
                let mut view = view();
                shown(&mut view, &picture, (width, height));
                for key in keys.chars() {
                    view.press(match key {
                        '\n' => Key::Enter,
                        key => Key::Character(key),
                    });
                    shown(&mut view, &picture, (width, height));
                }
            }
        }
    }
}

#[test]
fn without_a_runtime_it_says_so() {
    let picture = Picture::default();
    let text = shown(&mut view(), &picture, (80, 10));
    assert!(text.contains("nothing runs"), "{text}");
    assert!(
        text.contains("no dataflow runs in /project or below"),
        "{text}"
    );
}

#[test]
fn the_selected_row_stays_selected_wherever_it_goes_and_in_sight() {
    let picture = example::many(200);
    let mut view = view();
    let selected = |view: &mut View| -> String {
        let text = shown(view, &picture, (80, 12));
        let mut lines = text.lines();
        let line = lines.find_map(|line| line.strip_prefix('»'));
        line.unwrap_or_default()
            .split(' ')
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    assert_eq!(selected(&mut view), "");
    view.press(Key::End);
    assert_eq!(selected(&mut view), "node-199");
    view.press(Key::Up);
    assert_eq!(selected(&mut view), "node-198");
    // In the other order it is the second.
    view.press(Key::Character('r'));
    assert_eq!(selected(&mut view), "node-198");
    view.press(Key::PageDown);
    let text = selected(&mut view);
    assert!(("node-185".."node-198").contains(&text.as_str()), "{text}");
    view.press(Key::Home);
    assert_eq!(selected(&mut view), "node-199");
    view.press(Key::Escape);
    assert_eq!(selected(&mut view), "");
}

#[test]
fn names_that_a_terminal_would_obey_are_harmless() {
    let mut board = super::super::board::Board::new(std::time::Duration::from_secs(1));
    let at = std::time::Duration::from_secs(1);
    let number = board.came(at, example::about());
    let mut statistics = example::statistics_at(at);
    statistics.peers[0].because = "\x1b[2J\u{202e}gone".to_owned();
    statistics.downloads.rows[0].model = "a\x07b".to_owned();
    statistics.actors[0].actor = "x\ny".to_owned();
    statistics.dataflows[0].run = "run\x1b]0;title\x07".to_owned();
    board.said(
        at,
        number,
        super::super::board::Said::Statistics(Box::new(statistics)),
    );
    for tab in ["1", "5", "6", "7"] {
        let mut view = view();
        view.press(Key::Character(tab.chars().next().unwrap()));
        let text = shown(&mut view, &board.picture(at), (300, 12));
        let harmful = |character: char| character.is_control() && character != '\n';
        assert!(
            !text.contains(harmful) && !text.contains('\u{202e}'),
            "{text:?}"
        );
        // A line's end in a name makes no other line.
        assert_eq!(text.lines().count(), 12, "{text}");
    }
}
