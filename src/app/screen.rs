//! The terminal: what is typed goes to the dashboard, what it draws goes to the screen.
//!
//! All that happens comes through one channel: keys, signals, snapshots. The screen is drawn when something has
//! happened, and at no other time. Whatever ends the program, the terminal is given back as it was.

use std::io::{self, Stdout, Write};
use std::mem::ManuallyDrop;
use std::sync::mpsc::{Receiver, RecvError, Sender, channel};
use std::sync::{Mutex, Once, PoisonError};

use anyhow::{Context, Result};
use crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture, Event, KeyCode, KeyEvent,
    KeyEventKind, KeyModifiers, MouseButton, MouseEventKind,
};
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use crossterm::{cursor, execute};
use data_encoding::BASE64;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;

use crate::dash::draw::draw;
use crate::dash::key::{Code, Key};
use crate::dash::state::Dash;
use crate::dash::theme::Role;
use crate::dash::update::{Action, Effect};
use crate::platform::{self, Signal};

/// How many lines one turn of the wheel moves.
const WHEEL: i32 = 3;

/// What happens.
pub(super) enum Happening {
    /// To the dashboard.
    Action(Action),
    /// The program is to end.
    Stop,
    /// It is to be stopped (job control), and the screen is someone else's meanwhile.
    Suspend,
    /// It goes on.
    Resumed,
}

/// Where things that happen are told.
pub(super) type Teller = Sender<Happening>;

/// The world that the dashboard asks things of.
pub(super) trait World {
    /// Does what is asked; says what came of it.
    fn perform(&mut self, effect: Effect, dash: &Dash, teller: &Teller);
    /// More is wanted of that flow.
    fn want(&mut self, flow: Option<u64>);
}

/// A channel for all that happens, with signals told there.
pub(super) fn happenings() -> Result<(Teller, Receiver<Happening>)> {
    let (teller, happenings) = channel();
    tell_signals(teller.clone())?;
    Ok((teller, happenings))
}

fn tell_signals(teller: Teller) -> Result<()> {
    let listen = platform::signals().context("signals cannot be handled")?;
    let tell = move |signal: Signal| {
        let happening = match signal {
            Signal::Suspend => Happening::Suspend,
            Signal::Resumed => Happening::Resumed,
            Signal::Stop => Happening::Stop,
        };
        teller.send(happening).is_ok()
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let mut tell = tell;
            listen(&mut tell);
        })
        .context("no thread can be had for signals")?;
    Ok(())
}

/// Tells when the terminal is gone. Who is not its session's leader gets no signal then, and reading keys does not end
/// by itself.
fn tell_hang_up(teller: Teller) -> Result<()> {
    std::thread::Builder::new()
        .name("terminal".to_owned())
        .spawn(move || {
            if platform::wait_for_hang_up() {
                let _ = teller.send(Happening::Stop);
            }
        })
        .context("no thread can be had for the terminal")?;
    Ok(())
}

fn tell_keys(teller: Teller) -> Result<()> {
    std::thread::Builder::new()
        .name("keys".to_owned())
        .spawn(move || {
            loop {
                let happening = match crossterm::event::read() {
                    Ok(event) => action(event).map(Happening::Action),
                    // the terminal is gone
                    Err(_) => Some(Happening::Stop),
                };
                let last = matches!(happening, Some(Happening::Stop));
                if happening.is_some_and(|happening| teller.send(happening).is_err()) || last {
                    return;
                }
            }
        })
        .context("no thread can be had for the keyboard")?;
    Ok(())
}

/// What an event of the terminal means.
fn action(event: Event) -> Option<Action> {
    Some(match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => Action::Key(of_key(key)?),
        Event::Paste(text) => Action::Paste(text),
        Event::Resize(columns, lines) => Action::Resize(columns, lines),
        Event::Mouse(mouse) => match mouse.kind {
            MouseEventKind::Down(MouseButton::Left) => Action::Click(mouse.column, mouse.row),
            MouseEventKind::Drag(MouseButton::Left) => Action::Drag(mouse.column, mouse.row),
            MouseEventKind::Up(MouseButton::Left) => Action::Drop,
            MouseEventKind::ScrollDown => Action::Wheel(mouse.column, mouse.row, WHEEL),
            MouseEventKind::ScrollUp => Action::Wheel(mouse.column, mouse.row, -WHEEL),
            _ => return None,
        },
        _ => return None,
    })
}

fn of_key(key: KeyEvent) -> Option<Key> {
    let code = match key.code {
        KeyCode::Char(c) => Code::Char(c),
        KeyCode::Enter => Code::Enter,
        KeyCode::Esc => Code::Esc,
        KeyCode::Tab => Code::Tab,
        KeyCode::BackTab => Code::BackTab,
        KeyCode::Backspace => Code::Backspace,
        KeyCode::Delete => Code::Delete,
        KeyCode::Left => Code::Left,
        KeyCode::Right => Code::Right,
        KeyCode::Up => Code::Up,
        KeyCode::Down => Code::Down,
        KeyCode::Home => Code::Home,
        KeyCode::End => Code::End,
        KeyCode::PageUp => Code::PageUp,
        KeyCode::PageDown => Code::PageDown,
        _ => return None,
    };
    // Shift has made another character already
    let told_by_code = matches!(code, Code::Char(_) | Code::BackTab);
    let shift = key.modifiers.contains(KeyModifiers::SHIFT) && !told_by_code;
    Some(Key { code, ctrl: key.modifiers.contains(KeyModifiers::CONTROL), shift })
}

/// The terminal, taken; given back when dropped.
struct Screen {
    /// Is never dropped: it would show the cursor, which is done when the terminal is given back, and panic where that
    /// is gone.
    terminal: ManuallyDrop<Terminal<CrosstermBackend<Stdout>>>,
}

/// Whether the mouse was taken too; what is to be given back.
static TAKEN: Mutex<Option<bool>> = Mutex::new(None);

impl Screen {
    fn take(mouse: bool) -> Result<Screen> {
        static HOOK: Once = Once::new();
        // a panic ends the program at once: the terminal is given back before it is told of
        HOOK.call_once(|| {
            let tell = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                give_back();
                tell(info);
            }));
        });
        let mut out = io::stdout();
        enable_raw_mode().context("the terminal cannot be used: try --no-tui")?;
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) = Some(mouse);
        execute!(out, EnterAlternateScreen, EnableBracketedPaste, cursor::Hide)?;
        if mouse {
            execute!(out, EnableMouseCapture)?;
        }
        Ok(Screen { terminal: ManuallyDrop::new(Terminal::new(CrosstermBackend::new(out))?) })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the terminal back as it was, once.
fn give_back() {
    let Some(mouse) = TAKEN.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
    let mut out = io::stdout();
    // a terminal that is gone needs nothing
    if mouse {
        let _ = execute!(out, DisableMouseCapture);
    }
    let _ = execute!(out, DisableBracketedPaste, LeaveAlternateScreen, cursor::Show);
    let _ = disable_raw_mode();
}

/// Stops the program, with the terminal as it was before, until it is told to go on.
fn suspend(screen: Screen, mouse: bool) -> Result<Screen> {
    drop(screen);
    platform::suspend().context("it cannot be stopped")?;
    Screen::take(mouse)
}

/// What happens next; what keys may ask for is prepared meanwhile.
fn next(dash: &Dash, happenings: &Receiver<Happening>) -> Result<Happening, RecvError> {
    loop {
        match happenings.try_recv() {
            Ok(happening) => return Ok(happening),
            Err(_) if dash.prepare() => {}
            Err(_) => return happenings.recv(),
        }
    }
}

/// Shows a dashboard until it is left; true if a signal, or the end of the terminal, ended it.
pub(super) fn run(
    dash: &mut Dash,
    mouse: bool,
    teller: &Teller,
    happenings: &Receiver<Happening>,
    world: &mut dyn World,
) -> Result<bool> {
    let mut screen = Screen::take(mouse)?;
    tell_keys(teller.clone())?;
    tell_hang_up(teller.clone())?;
    if let Ok(size) = screen.terminal.size() {
        dash.size = (size.width, size.height);
    }
    let mut wanted = None;
    loop {
        // a frame that cannot be written has no terminal to go to any more
        if screen.terminal.draw(|frame| dash.drawn = draw(dash, frame.buffer_mut())).is_err() {
            return Ok(true);
        }
        let Ok(first) = next(dash, happenings) else { return Ok(true) };
        // what has come meanwhile is done before the screen is drawn again
        for happening in std::iter::once(first).chain(happenings.try_iter().take(64)) {
            match happening {
                Happening::Stop => return Ok(true),
                Happening::Suspend => screen = suspend(screen, mouse)?,
                Happening::Resumed => {
                    drop(screen);
                    // the end of a terminal also has whom it belongs to go on
                    let Ok(taken) = Screen::take(mouse) else { return Ok(true) };
                    screen = taken;
                }
                Happening::Action(action) => match dash.update(action) {
                    None => {}
                    Some(Effect::Quit) => return Ok(false),
                    Some(Effect::Suspend) => screen = suspend(screen, mouse)?,
                    Some(Effect::Redraw) => screen.terminal.clear()?,
                    Some(Effect::Copy(text)) => copy(&text)?,
                    Some(effect) => world.perform(effect, dash, teller),
                },
            }
        }
        if dash.wanted() != wanted {
            wanted = dash.wanted();
            world.want(wanted);
        }
    }
}

/// Puts text into the clipboard of the terminal (OSC 52), which works over ssh as well.
fn copy(text: &str) -> Result<()> {
    let mut out = io::stdout();
    write!(out, "\u{1b}]52;c;{}\u{7}", BASE64.encode(text.as_bytes()))?;
    out.flush().map_err(Into::into)
}

/// Says something on the dashboard.
pub(super) fn say(teller: &Teller, role: Role, text: String) {
    // nobody listens any more when it is being left
    let _ = teller.send(Happening::Action(Action::Say(role, text)));
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;
    use std::process::Command;

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::tcgetattr;

    use super::*;

    /// What the test below runs on a terminal of its own.
    #[test]
    #[ignore = "it panics"]
    fn panics_with_the_screen_taken() {
        let _screen = Screen::take(true).unwrap();
        panic!("on purpose");
    }

    #[test]
    fn a_panic_gives_the_terminal_back_and_is_told() {
        let mut master = File::from(openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap());
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let before = tcgetattr(&slave).unwrap();
        let end = || slave.try_clone().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "app::screen::tests::panics_with_the_screen_taken", "--nocapture"])
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .env("TERM", "xterm")
            .spawn()
            .unwrap();
        assert!(!child.wait().unwrap().success());
        let after = tcgetattr(&slave).unwrap();
        assert_eq!((after.local_modes, after.input_modes), (before.local_modes, before.input_modes));
        let mut said = vec![0; 1 << 16];
        let n = master.read(&mut said).unwrap();
        let said = String::from_utf8_lossy(&said[..n]).into_owned();
        let (entered, left) = (said.find("\u{1b}[?1049h"), said.find("\u{1b}[?1049l"));
        let told = said.find("on purpose");
        assert!(entered.is_some() && entered < left && left < told, "{said:?}");
    }
}
