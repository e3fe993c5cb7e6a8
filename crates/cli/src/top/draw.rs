//! Drawing on the terminal, with ratatui: only what has changed is written. However this process ends short of SIGKILL,
//! the terminal is as it was before.

use std::io::{self, BufWriter, Stdout, Write, stdout};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use ratatui::crossterm::{cursor, execute, queue};
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Modifier, Style};

use crate::error::{CliError, Exit};

use super::line::{Line, Look};
use super::screen::Size;

/// Whether the terminal is ours at this moment, and is to be given back.
static IS_OPEN: AtomicBool = AtomicBool::new(false);

/// The screen of the terminal, for as long as it is ours.
#[derive(Debug)]
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
    has_colours: bool,
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    ///
    /// [`CliError::System`] when it refuses.
    pub(super) fn open() -> Result<Screen, CliError> {
        restore_after_panics();
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let backend = CrosstermBackend::new(BufWriter::new(stdout()));
        let mut screen = Screen {
            terminal: Terminal::new(backend).map_err(refuses())?,
            has_colours: !refused,
        };
        screen.open_again()?;
        Ok(screen)
    }

    /// Takes it once more after [`Screen::close`].
    ///
    /// # Errors
    ///
    /// As [`Screen::open`].
    pub(super) fn open_again(&mut self) -> Result<(), CliError> {
        IS_OPEN.store(true, Ordering::SeqCst);
        enable_raw_mode().map_err(refuses())?;
        execute!(stdout(), EnterAlternateScreen, cursor::Hide).map_err(refuses())?;
        self.clear()
    }

    /// Draws everything anew the next time.
    ///
    /// # Errors
    ///
    /// As [`Screen::open`].
    pub(super) fn clear(&mut self) -> Result<(), CliError> {
        // `Terminal::clear` would ask the terminal where its cursor is, and take the answer away from the keys.
        let size = self.terminal.size().map_err(refuses())?;
        let whole = Rect::from((Position::ORIGIN, size));
        self.terminal.resize(whole).map_err(refuses())
    }

    /// Gives the terminal back.
    pub(super) fn close(&mut self) {
        restore();
    }

    /// Draws what `lines` makes of the room that there is. Whether there still is a terminal.
    ///
    /// # Errors
    ///
    /// As [`Screen::open`].
    pub(super) fn draw(&mut self, lines: impl FnOnce(Size) -> Vec<Line>) -> Result<bool, CliError> {
        if !IS_OPEN.load(Ordering::SeqCst) {
            // A thread has panicked: what it said stands where the table would be drawn.
            return Err(CliError::Said(Exit::Failed));
        }
        let has_colours = self.has_colours;
        let drawn = queue!(self.terminal.backend_mut(), BeginSynchronizedUpdate).and_then(|()| {
            self.terminal.draw(|frame| {
                let area = frame.area();
                let lines = lines(Size {
                    width: usize::from(area.width),
                    height: usize::from(area.height),
                });
                paint(frame.buffer_mut(), &lines, has_colours);
            })?;
            queue!(self.terminal.backend_mut(), EndSynchronizedUpdate)?;
            self.terminal.backend_mut().flush()
        });
        match drawn {
            Ok(()) => Ok(true),
            // The terminal has gone: nobody looks.
            Err(error)
                if error.kind() == io::ErrorKind::BrokenPipe
                    || error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) =>
            {
                Ok(false)
            }
            Err(error) => Err(refuses()(error)),
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

fn refuses() -> impl FnOnce(io::Error) -> CliError {
    CliError::system("draw on the terminal")
}

/// Leaves the terminal as it was, once.
fn restore() {
    if IS_OPEN.swap(false, Ordering::SeqCst) {
        // A terminal that has gone needs nothing.
        let _ = execute!(
            stdout(),
            EndSynchronizedUpdate,
            LeaveAlternateScreen,
            cursor::Show
        );
        let _ = disable_raw_mode();
    }
}

/// What a panic says is to be read, wherever it happens: not on a screen that vanishes, in lines that do not begin at the
/// left.
fn restore_after_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let said = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            said(panic);
        }));
    });
}

fn paint(buffer: &mut Buffer, lines: &[Line], has_colours: bool) {
    let area = buffer.area;
    for (row, line) in (area.top()..area.bottom()).zip(lines) {
        let mut column = area.left();
        for piece in &line.pieces {
            let style = style(piece.look, has_colours);
            let left = usize::from(area.right().saturating_sub(column));
            (column, _) = buffer.set_stringn(column, row, &piece.text, left, style);
        }
        if line.is_selected {
            let whole = Rect::new(area.left(), row, area.width, 1);
            buffer.set_style(whole, Style::new().add_modifier(Modifier::REVERSED));
        }
    }
}

fn style(look: Look, has_colours: bool) -> Style {
    let plain = Style::new();
    let coloured = |colour| match has_colours {
        true => plain.fg(colour),
        false => plain,
    };
    match look {
        Look::Plain => plain,
        Look::Strong => plain.add_modifier(Modifier::BOLD),
        Look::Faint => plain.add_modifier(Modifier::DIM),
        Look::Heading => coloured(Color::Cyan),
        Look::Good => coloured(Color::Green),
        Look::Doubtful => coloured(Color::Yellow),
        Look::Wrong => coloured(Color::Red).add_modifier(Modifier::BOLD),
        Look::Chosen => coloured(Color::Cyan).add_modifier(Modifier::BOLD | Modifier::REVERSED),
    }
}
