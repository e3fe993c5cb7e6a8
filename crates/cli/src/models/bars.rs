//! Progress on a terminal: a bar for each model, and below it one for each file that is transferred.

use std::collections::BTreeMap;

use dataflow_descriptor::harmless_text;
use dataflow_wire::status::{ModelState, ModelView};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::terminal::Terminal;
use super::view;

/// How many files of one model have a bar; the model's own counts all.
const FILES_SHOWN_MAX: usize = 4;
/// The room of a name, in characters.
const NAME_WIDTH: usize = 26;
/// The width of a bar.
const BAR_WIDTH: usize = 16;

/// Bars at the lower end of a terminal, below what is written.
#[derive(Debug)]
pub(crate) struct Bars {
    terminal: Terminal,
    all: MultiProgress,
    models: BTreeMap<String, ModelBars>,
}

#[derive(Debug)]
struct ModelBars {
    whole: ProgressBar,
    files: BTreeMap<String, ProgressBar>,
}

impl Bars {
    /// No bars yet, on this terminal.
    pub(crate) fn on(terminal: Terminal) -> Bars {
        Bars {
            terminal,
            all: MultiProgress::with_draw_target(terminal.target()),
            models: BTreeMap::new(),
        }
    }

    /// Shows how a model stands. One that is ready, or cannot be had, has no bars.
    pub(crate) fn show(&mut self, name: &str, view: &ModelView) {
        if matches!(
            view.state,
            ModelState::Ready | ModelState::Failed | ModelState::Cancelled
        ) {
            self.remove(name);
            return;
        }
        let columns = usize::from(self.terminal.columns());
        let model = self
            .models
            .entry(name.to_owned())
            .or_insert_with(|| ModelBars {
                whole: self.all.add(bar(&fitting(name))),
                files: BTreeMap::new(),
            });
        draw(
            &model.whole,
            view.bytes_done,
            view.bytes_total,
            fitting_beside(&view::detailed(view), columns),
        );
        let shown: Vec<_> = view::in_transfer(view).take(FILES_SHOWN_MAX).collect();
        model.files.retain(|path, bar| {
            let stays = shown.iter().any(|file| file.path == *path);
            if !stays {
                self.all.remove(bar);
            }
            stays
        });
        let mut above = model.whole.clone();
        for file in shown {
            let bar = model.files.entry(file.path.clone()).or_insert_with(|| {
                self.all
                    .insert_after(&above, bar(&format!("  {}", fitting(&file.path))))
            });
            let said = fitting_beside(&view::of_file(file), columns);
            draw(bar, file.bytes_done, file.bytes_total, said);
            above = bar.clone();
        }
    }

    /// Whether a model has bars.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.models.contains_key(name)
    }

    /// Writes something above the bars.
    pub(crate) fn above<T>(&self, write: impl FnOnce() -> T) -> T {
        self.all.suspend(write)
    }

    /// Whether there is nothing to draw.
    pub(crate) fn is_empty(&self) -> bool {
        self.models.is_empty()
    }

    /// Takes all bars away.
    pub(crate) fn clear(&mut self) {
        let names: Vec<String> = self.models.keys().cloned().collect();
        for name in names {
            self.remove(&name);
        }
    }

    fn remove(&mut self, name: &str) {
        if let Some(model) = self.models.remove(name) {
            for bar in model.files.values().chain([&model.whole]) {
                bar.finish_and_clear();
                self.all.remove(bar);
            }
        }
    }
}

fn bar(name: &str) -> ProgressBar {
    let template = format!("{{prefix:{}}} {{bar:{BAR_WIDTH}}} {{msg}}", NAME_WIDTH + 2);
    let style = ProgressStyle::with_template(&template).expect("the template above is one");
    ProgressBar::hidden()
        .with_style(style.progress_chars("█▉▊▋▌▍▎▏ "))
        .with_prefix(name.to_owned())
}

fn draw(bar: &ProgressBar, done: u64, total: u64, said: String) {
    // Before anything is known, the bar is empty and not full.
    bar.set_length(total.max(1));
    bar.set_message(said);
    bar.set_position(done);
}

/// What is said beside a bar, in the room that is left of a line.
fn fitting_beside(text: &str, columns: usize) -> String {
    let room = columns.saturating_sub(NAME_WIDTH + 2 + 1 + BAR_WIDTH + 1);
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(room.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// A name in the room that names have: of a longer one, its end tells more.
fn fitting(name: &str) -> String {
    let name = harmless_text(name);
    let length = name.chars().count();
    if length <= NAME_WIDTH {
        return name;
    }
    let end: String = name.chars().skip(length - (NAME_WIDTH - 1)).collect();
    format!("…{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_come_with_what_is_transferred_and_go_with_it() {
        let mut bars = Bars::on(Terminal::None);
        let mut view = view::tests::view();
        bars.show("detector", &view);
        let shown = |bars: &Bars| -> Vec<(String, u64, String)> {
            let all = bars.models.values();
            let all = all.flat_map(|model| [&model.whole].into_iter().chain(model.files.values()));
            all.map(|bar| (bar.prefix(), bar.position(), bar.message()))
                .collect()
        };
        assert_eq!(
            shown(&bars),
            [
                (
                    "detector".to_owned(),
                    430_000_512,
                    "42 %, 12.0 MB/s, 48 s left, 430.0 MB of 1.0 GB".to_owned()
                ),
                (
                    "  model.safetensors".to_owned(),
                    430_000_000,
                    "43 %, 430.0 MB of 1.0 GB".to_owned()
                ),
            ]
        );
        view.files[1].bytes_done = view.files[1].bytes_total;
        bars.show("detector", &view);
        assert_eq!(shown(&bars)[1].2, "1.0 GB, comparing the hash");
        view.files[1].is_verified = true;
        bars.show("detector", &view);
        assert_eq!(shown(&bars).len(), 1);
        view.state = ModelState::Ready;
        bars.show("detector", &view);
        assert!(bars.is_empty());
    }

    #[test]
    fn a_repository_of_many_files_does_not_fill_the_terminal() {
        let mut bars = Bars::on(Terminal::None);
        let mut view = view::tests::view();
        let file = view.files[1].clone();
        view.files = (0..100)
            .map(|number| {
                let mut file = file.clone();
                file.path = format!("{number}.safetensors");
                file
            })
            .collect();
        bars.show("detector", &view);
        assert_eq!(bars.models["detector"].files.len(), FILES_SHOWN_MAX);
    }

    #[test]
    fn what_is_said_beside_a_bar_ends_before_the_line_does() {
        let said = "42 %, 12.0 MB/s, 48 s left, 430.0 MB of 1.0 GB";
        assert_eq!(fitting_beside(said, 120), said);
        let narrow = fitting_beside(said, 77);
        assert_eq!(narrow, "42 %, 12.0 MB/s, 48 s left, 43…");
        assert!(NAME_WIDTH + 2 + 1 + BAR_WIDTH + 1 + narrow.chars().count() <= 77);
        assert_eq!(fitting_beside(said, 3), "…");
    }

    #[test]
    fn a_long_name_shows_its_end() {
        assert_eq!(fitting("short"), "short");
        let long = fitting("a-folder/with/many/parts/model-00001-of-00003.safetensors");
        assert_eq!(long, "…0001-of-00003.safetensors");
        assert_eq!(long.chars().count(), NAME_WIDTH);
        assert_eq!(fitting("\u{1b}[2J"), "\u{fffd}[2J");
    }
}
