//! The live table: keys come in, pictures go out, and the terminal is left as it was.

use std::io::{IsTerminal, stdin, stdout};
use std::sync::mpsc::{Receiver, Sender};

use ratatui::crossterm::event::{self, KeyCode, KeyEventKind, KeyModifiers};
use rustix::process::{Signal, getpid, kill_process};

use crate::error::{CliError, Exit};
use crate::running;

use super::arguments::TopArguments;
use super::board::Board;
use super::draw::Screen;
use super::screen::{self, Scene};
use super::sources::{Event, Sources};
use super::view::{After, Key, View};

/// What comes from the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FromTerminal {
    /// A key.
    Key(Key),
    /// Its size has changed.
    Resized,
    /// It has gone.
    Gone,
}

/// Whether there is a terminal that can show it.
///
/// # Errors
///
/// [`CliError::NoTerminal`] when there is none.
pub(super) fn can_be_live() -> Result<(), CliError> {
    let is_dumb = std::env::var_os("TERM").is_none_or(|terminal| terminal == "dumb");
    match stdin().is_terminal() && stdout().is_terminal() && !is_dumb {
        true => Ok(()),
        false => Err(CliError::NoTerminal),
    }
}

/// Shows what runs until a person has seen enough.
///
/// # Errors
///
/// [`CliError::System`] when the terminal refuses something.
pub(super) fn run(
    arguments: &TopArguments,
    mut board: Board,
    mut sources: Sources,
    events: Receiver<Event>,
) -> Result<Exit, CliError> {
    let mut shown = Screen::open()?;
    listen_to_keys(sources.sender())?;
    let mut view = View::new(arguments.sort.as_deref(), &arguments.filter);
    let every = screen::every(arguments.interval);
    let nobody = match &arguments.dataflow {
        Some(dataflow) => format!("{dataflow} does not run at this moment"),
        None => format!(
            "no dataflow runs in {} or below",
            running::here()?.display()
        ),
    };
    let nobody = dataflow_descriptor::harmless_text(&nobody);
    let mut picture = board.picture(sources.now());
    let mut trouble = None;
    loop {
        let mut notes = board.ended(sources.now());
        notes.extend(trouble.clone());
        let scene = Scene {
            picture: &picture,
            notes: &notes,
            nobody: &nobody,
            every: &every,
        };
        if !shown.draw(|size| screen::screen(&mut view, &scene, size))? {
            return Ok(Exit::Done);
        }
        let Ok(first) = events.recv() else {
            return Ok(Exit::Done);
        };
        let mut has_news = false;
        // What has come together is drawn together.
        for event in std::iter::once(first).chain(events.try_iter()) {
            let event = match event.said() {
                Ok((number, said)) => {
                    board.said(sources.now(), number, said);
                    has_news = true;
                    continue;
                }
                Err(event) => event,
            };
            match event {
                Event::Leave | Event::Terminal(FromTerminal::Gone) => return Ok(Exit::Done),
                Event::Terminal(FromTerminal::Resized) => {}
                Event::Terminal(FromTerminal::Key(key)) => match view.press(key) {
                    After::Draw => {}
                    After::DrawAnew => shown.clear()?,
                    After::Leave => return Ok(Exit::Done),
                    After::Suspend => {
                        shown.close();
                        let _ = kill_process(getpid(), Signal::TSTP);
                        shown.open_again()?;
                    }
                },
                // It was there: it is taken above.
                Event::Said(..) | Event::Statistics(..) => {}
                Event::Found(Ok(found)) => {
                    sources.found(found, &mut board)?;
                    trouble = None;
                    has_news = true;
                }
                Event::Found(Err(why)) => {
                    trouble = Some(dataflow_descriptor::harmless_text(&why));
                }
            }
        }
        if has_news && !view.is_paused {
            picture = board.picture(sources.now());
        }
    }
}

/// Reads keys on a thread of its own, which ends with this process.
fn listen_to_keys(to: Sender<Event>) -> Result<(), CliError> {
    let listen = move || {
        loop {
            let came = match event::read() {
                Ok(event::Event::Key(pressed)) if pressed.kind != KeyEventKind::Release => {
                    key(pressed.code, pressed.modifiers).map(FromTerminal::Key)
                }
                Ok(event::Event::Resize(..)) => Some(FromTerminal::Resized),
                Ok(_) => None,
                Err(_) => Some(FromTerminal::Gone),
            };
            let Some(came) = came else { continue };
            let is_over = to.send(Event::Terminal(came)).is_err();
            if is_over || came == FromTerminal::Gone {
                return;
            }
        }
    };
    std::thread::Builder::new()
        .name("dataflow-keys".to_owned())
        .spawn(listen)
        .map(drop)
        .map_err(CliError::system("start the thread that reads keys"))
}

fn key(code: KeyCode, modifiers: KeyModifiers) -> Option<Key> {
    Some(match code {
        KeyCode::Char(character) if modifiers.contains(KeyModifiers::CONTROL) => {
            Key::Control(character.to_ascii_lowercase())
        }
        KeyCode::Char(character) => Key::Character(character),
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::Tab => Key::Tab,
        KeyCode::BackTab => Key::BackTab,
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Escape,
        KeyCode::Backspace | KeyCode::Delete => Key::Backspace,
        _ => return None,
    })
}
