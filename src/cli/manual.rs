//! Completion scripts and the manual page, made from the arguments themselves.

use std::io::{self, Write};

use clap::CommandFactory;

use super::Cli;

/// Writes the completion script of a shell.
pub fn completions(shell: clap_complete::Shell, writer: &mut impl Write) -> io::Result<()> {
    // The generator wants a writer that cannot fail, or it panics.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "relayscope", &mut script);
    writer.write_all(&script)
}

/// Writes the manual page: the program, then each command in a section of its own.
pub fn man(writer: &mut impl Write) -> io::Result<()> {
    let mut command = Cli::command();
    command.build();
    let page = clap_mangen::Man::new(command.clone());
    page.render_title(writer)?;
    page.render_name_section(writer)?;
    page.render_synopsis_section(writer)?;
    page.render_description_section(writer)?;
    page.render_options_section(writer)?;
    let mut commands = Vec::new();
    page.render_subcommands_section(&mut commands)?;
    // The generator speaks of pages of their own; the commands stand further down.
    let commands = String::from_utf8_lossy(&commands).replace("relayscope\\-", "relayscope ").replace("(1)", "");
    writer.write_all(commands.as_bytes())?;
    for sub in command.get_subcommands().filter(|c| c.get_name() != "help") {
        writeln!(writer, ".SH \"COMMAND {}\"", sub.get_name().to_uppercase())?;
        let page = clap_mangen::Man::new(sub.clone());
        let mut sections = Vec::new();
        page.render_description_section(&mut sections)?;
        page.render_synopsis_section(&mut sections)?;
        page.render_options_section(&mut sections)?;
        for line in String::from_utf8_lossy(&sections).lines() {
            match line.strip_prefix(".SH ") {
                Some(title) => writeln!(writer, ".SS {title}")?,
                None => writeln!(writer, "{line}")?,
            }
        }
        verbatim(writer, ".SS EXAMPLES", sub)?;
    }
    verbatim(writer, ".SH EXAMPLES", &command)?;
    page.render_version_section(writer)
}

/// The text after a command's help, its lines kept as they are.
fn verbatim(writer: &mut impl Write, heading: &str, command: &clap::Command) -> io::Result<()> {
    let Some(text) = command.get_after_help() else { return Ok(()) };
    writeln!(writer, "{heading}\n.nf")?;
    for line in text.to_string().lines() {
        // A dot or an apostrophe at the beginning would be a request, a backslash an escape.
        writeln!(writer, "\\&{}", line.replace('\\', "\\e").replace('-', "\\-"))?;
    }
    writeln!(writer, ".fi")
}
