//! Where reports go: standard output, or a file that appears whole or not at all.

use std::fs;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::OUTPUT_BUFFER;
use crate::present::color::{Look, Style};

/// Writes a report to where it is wanted: standard output, or a file that appears whole or not at all.
pub(super) fn deliver<T>(
    output: Option<&Path>,
    look: Look,
    write: impl FnOnce(&mut dyn Write, Style) -> io::Result<T>,
) -> Result<T> {
    Output::open(output, look)?.finish(write)
}

/// Where a report goes.
pub(super) struct Output {
    pub(super) writer: Box<dyn Write>,
    style: Style,
    /// The file that is wanted, and the one that is written until all is well.
    file: Option<(PathBuf, Option<Partial>)>,
}

/// A file that is gone unless it is kept.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl Output {
    /// Opens it; the file is not there yet.
    pub(super) fn open(output: Option<&Path>, look: Look) -> Result<Output> {
        let Some(path) = output.filter(|p| *p != Path::new("-")) else {
            let out = io::stdout();
            let columns = terminal_size::terminal_size_of(&out).map_or(usize::MAX, |(width, _)| usize::from(width.0));
            let style = look.style(out.is_terminal(), |name| std::env::var_os(name)).in_columns(columns);
            let writer = Box::new(BufWriter::with_capacity(OUTPUT_BUFFER, out.lock()));
            return Ok(Output { writer, style, file: None });
        };
        let style = look.style(false, |name| std::env::var_os(name));
        let mut written = path.to_owned();
        let mut partial = None;
        if !fs::symlink_metadata(path).is_ok_and(|m| !m.is_file()) {
            let mut name = path.as_os_str().to_owned();
            name.push(format!(".{}.part", std::process::id()));
            written = PathBuf::from(name);
            partial = Some(Partial(written.clone()));
        }
        let file = fs::File::create(&written).with_context(|| cannot_write(path))?;
        let writer = Box::new(BufWriter::with_capacity(OUTPUT_BUFFER, file));
        Ok(Output { writer, style, file: Some((path.to_owned(), partial)) })
    }

    /// Writes what is to be written, and gives the file its name.
    pub(super) fn finish<T>(mut self, write: impl FnOnce(&mut dyn Write, Style) -> io::Result<T>) -> Result<T> {
        let told = write(&mut self.writer, self.style).and_then(|told| self.writer.flush().map(|()| told));
        let Some((path, partial)) = self.file else { return told.map_err(Into::into) };
        let told = told.with_context(|| cannot_write(&path))?;
        drop(self.writer);
        if let Some(partial) = partial {
            fs::rename(&partial.0, &path).with_context(|| cannot_write(&path))?;
            std::mem::forget(partial);
        }
        Ok(told)
    }
}

fn cannot_write(path: &Path) -> String {
    format!("{}: cannot be written", path.display())
}
