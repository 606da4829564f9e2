//! All that a user can do, in one table: its name, its keys, where it makes sense. Key bindings, help, the palette, the
//! bottom line and `relayscope keys` are read from here.

use super::key::{Key, Keys};

/// Where a command makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everywhere.
    Anywhere,
    /// In the table of flows.
    Flows,
    /// Where a recorded capture plays.
    Replay,
    /// Where packets are taken live.
    Live,
}

macro_rules! commands {
    ($($command:ident $id:literal $scope:ident [$($keys:literal),*] $hint:literal $title:literal,)*) => {
        /// What a user can do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs)]
        pub enum Command { $($command,)* }

        impl Command {
            /// Every command, in the order in which they are listed.
            pub const ALL: &'static [Command] = &[$(Command::$command,)*];

            /// Its name in the configuration.
            pub const fn id(self) -> &'static str {
                match self { $(Command::$command => $id,)* }
            }

            /// What it does, for the list.
            pub const fn title(self) -> &'static str {
                match self { $(Command::$command => $title,)* }
            }

            /// What it does in a word, for the bottom line.
            pub const fn hint(self) -> &'static str {
                match self { $(Command::$command => $hint,)* }
            }

            /// Where it makes sense.
            pub const fn scope(self) -> Scope {
                match self { $(Command::$command => Scope::$scope,)* }
            }

            /// Its keys, unless the user has set others.
            pub const fn default_keys(self) -> &'static [&'static str] {
                match self { $(Command::$command => &[$($keys),*],)* }
            }
        }
    };
}

commands! {
    Overview "overview" Anywhere ["1"] "overview" "Overview: the verdict, the ways to view, the site",
    Flows "flows" Anywhere ["2"] "flows" "Flows: every conversation",
    Findings "findings" Anywhere ["3", "f"] "findings" "Findings: what is wrong, and the evidence",
    Sessions "sessions" Anywhere ["4"] "sessions" "Sessions: each attempt to view",
    AllowList "allow-list" Anywhere ["5"] "allow-list" "Allow-list: what must be allowed, and what is",
    Hosts "hosts" Anywhere ["6"] "hosts" "Hosts: recorders, clients, who is who",
    Capture "capture" Anywhere ["7"] "capture" "Capture: what it is worth to judge by",
    Up "up" Anywhere ["k", "up"] "up" "Move up",
    Down "down" Anywhere ["j", "down"] "down" "Move down",
    HalfUp "half-up" Anywhere ["ctrl-u"] "half up" "Move up half a screen",
    HalfDown "half-down" Anywhere ["ctrl-d"] "half down" "Move down half a screen",
    PageUp "page-up" Anywhere ["pageup"] "page up" "Move up a screen",
    PageDown "page-down" Anywhere ["pagedown"] "page down" "Move down a screen",
    Top "top" Anywhere ["g g", "home"] "top" "Go to the first",
    Bottom "bottom" Anywhere ["G", "end"] "bottom" "Go to the last",
    Open "open" Anywhere ["enter"] "open" "Open what is selected",
    Back "back" Anywhere ["esc"] "back" "Go back; close; clear the filter",
    NextPane "next-pane" Anywhere ["tab"] "next tab" "Next pane, or next tab of the detail",
    PreviousPane "previous-pane" Anywhere ["shift-tab"] "last tab" "Previous pane, or previous tab of the detail",
    ScrollDown "scroll-down" Anywhere ["J", "ctrl-e"] "scroll" "Scroll the detail down",
    ScrollUp "scroll-up" Anywhere ["K", "ctrl-y"] "scroll" "Scroll the detail up",
    Filter "filter" Anywhere ["/"] "filter" "Filter the flows",
    ClearFilter "clear-filter" Anywhere ["\\"] "no filter" "Clear the filter",
    Next "next" Anywhere ["n"] "next match" "Next flow that the filter passes, or the one cleared last; else with a fault",
    Previous "previous" Anywhere ["N"] "last match" "The same, back",
    Sort "sort" Flows ["s"] "sort" "Sort by the next column",
    SortBefore "sort-before" Flows ["<"] "sort" "Sort by the column to the left",
    SortAfter "sort-after" Flows [">"] "sort" "Sort by the column to the right",
    Reverse "reverse" Flows ["S"] "reverse" "Reverse the order",
    Group "group" Flows ["b"] "group" "Group by method, host, session, or not at all",
    Columns "columns" Flows ["c"] "columns" "Other columns",
    Closed "closed" Flows ["t"] "closed" "Show or hide flows that are over",
    Follow "follow" Flows ["F"] "follow" "Follow the newest flow",
    Mark "mark" Flows ["m"] "mark" "Mark the flow, or unmark it",
    Clear "clear" Flows ["x x"] "clear" "Clear the list; a flow comes back when something of it comes",
    Zoom "zoom" Flows ["z"] "whole screen" "Detail over the whole screen, or beside the list",
    Marked "marked" Flows ["M"] "marked" "Show marked flows alone, or all",
    Copy "copy" Anywhere ["y"] "copy" "Copy what is selected: a flow, an address, an advice",
    Carve "carve" Anywhere ["w"] "carve" "Write packets of a flow, finding or session to a file",
    Report "report" Anywhere ["r"] "report" "Write the report",
    Role "role" Anywhere ["R"] "role" "Say what the host is: a recorder, a client, or what its packets tell",
    Explain "explain" Anywhere ["e"] "explain" "Explain the rule behind the finding",
    Privacy "privacy" Anywhere ["p"] "mask" "Mask addresses and names, or show them",
    Theme "theme" Anywhere ["T"] "colours" "Next colours",
    Redraw "redraw" Anywhere ["ctrl-l"] "redraw" "Draw the screen anew",
    Pause "pause" Live ["space"] "pause" "Hold the screen still; packets are taken all the same",
    Play "play" Replay ["space"] "play/pause" "Play, or halt",
    StepBack "step-back" Replay [","] "-1 s" "Back one second",
    Step "step" Replay ["."] "+1 s" "On one second",
    Rewind "rewind" Replay ["left"] "-10 s" "Back ten seconds",
    Forward "forward" Replay ["right"] "+10 s" "On ten seconds",
    RewindMore "rewind-more" Replay ["shift-left"] "-60 s" "Back a minute",
    ForwardMore "forward-more" Replay ["shift-right"] "+60 s" "On a minute",
    Faster "faster" Replay ["+", "="] "faster" "Twice as fast",
    Slower "slower" Replay ["-"] "slower" "Half as fast",
    FullSpeed "full-speed" Replay ["0"] "full speed" "As fast as the machine goes",
    NextFinding "next-finding" Replay ["]"] "next finding" "On to the next finding",
    PreviousFinding "previous-finding" Replay ["["] "last finding" "Back to the finding before",
    Help "help" Anywhere ["?"] "help" "Keys, and what they do here",
    Palette "palette" Anywhere [":"] "commands" "Every command by name; seek 00:12:30",
    Suspend "suspend" Anywhere ["ctrl-z"] "stop" "Go back to the shell; fg comes back here",
    Quit "quit" Anywhere ["q", "ctrl-c"] "quit" "Leave",
}

/// Which keys do what.
#[derive(Clone, Debug)]
pub struct KeyMap {
    bound: Vec<(Command, Keys)>,
}

/// What keys pressed so far come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pressed {
    /// A command.
    Command(Command),
    /// The beginning of one.
    More,
    /// Nothing.
    Nothing,
}

impl Default for KeyMap {
    fn default() -> Self {
        let all = Command::ALL.iter().flat_map(|c| c.default_keys().iter().map(|keys| (*c, keys)));
        // the tests hold that all of them can be read
        KeyMap { bound: all.filter_map(|(command, keys)| Some((command, keys.parse().ok()?))).collect() }
    }
}

impl KeyMap {
    /// Binds a command to these keys alone; whatever else they did they do no more.
    ///
    /// # Errors
    /// What is wrong with the name or with a key.
    pub fn bind(&mut self, id: &str, keys: &[String]) -> Result<(), String> {
        let Some(command) = Command::ALL.iter().copied().find(|c| c.id() == id) else {
            return Err(format!("no command is called '{id}': relayscope keys lists them"));
        };
        let keys: Vec<Keys> = keys.iter().map(|k| k.parse()).collect::<Result<_, _>>()?;
        let clashes = |c: Command| c == command || overlap(c.scope(), command.scope());
        self.bound.retain(|(c, k)| *c != command && !(clashes(*c) && keys.contains(k)));
        self.bound.extend(keys.into_iter().map(|keys| (command, keys)));
        Ok(())
    }

    /// What keys pressed one after the other come to, where a command is only of use if `holds`.
    pub fn pressed(&self, keys: &[Key], holds: impl Fn(Command) -> bool) -> Pressed {
        let here = || self.bound.iter().filter(|(command, _)| holds(*command));
        if let Some((command, _)) = here().find(|(_, bound)| bound.0 == keys) {
            return Pressed::Command(*command);
        }
        if here().any(|(_, bound)| bound.0.starts_with(keys)) { Pressed::More } else { Pressed::Nothing }
    }

    /// The first command that keys pressed one after the other begin, wherever it is of use.
    pub fn begun(&self, keys: &[Key]) -> Option<Command> {
        self.bound.iter().find(|(_, bound)| bound.0.starts_with(keys)).map(|(command, _)| *command)
    }

    /// The keys of a command, the first to be shown.
    pub fn of(&self, command: Command) -> impl Iterator<Item = &Keys> {
        self.bound.iter().filter(move |(c, _)| *c == command).map(|(_, keys)| keys)
    }

    /// The keys of a command as people read them: `j, Down`.
    pub fn text(&self, command: Command) -> String {
        self.of(command).map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }

    /// The whole table, a line a command.
    pub fn table(&self) -> String {
        let mut text = String::new();
        for command in Command::ALL {
            let line = format!("{:<17} {:<16} {}", command.id(), self.text(*command), command.title());
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// Whether two commands of these scopes may be of use at once.
fn overlap(a: Scope, b: Scope) -> bool {
    !matches!((a, b), (Scope::Live, Scope::Replay) | (Scope::Replay, Scope::Live))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_keys_of_its_own() {
        let map = KeyMap::default();
        for command in Command::ALL {
            assert_eq!(map.of(*command).count(), command.default_keys().len(), "{}", command.id());
            assert!(!command.default_keys().is_empty());
            for other in Command::ALL.iter().filter(|o| *o > command && overlap(o.scope(), command.scope())) {
                for (a, b) in map.of(*command).flat_map(|a| map.of(*other).map(move |b| (a, b))) {
                    assert!(!a.0.starts_with(&b.0) && !b.0.starts_with(&a.0), "{} and {}", command.id(), other.id());
                }
            }
        }
    }

    #[test]
    fn a_user_binds_keys_anew() {
        let mut map = KeyMap::default();
        map.bind("sort", &["o".into(), "ctrl-s".into()]).unwrap();
        map.bind("quit", &["f".into()]).unwrap();
        let press = |map: &KeyMap, text: &str| map.pressed(&text.parse::<Keys>().unwrap().0, |_| true);
        assert_eq!(press(&map, "o"), Pressed::Command(Command::Sort));
        assert_eq!(press(&map, "s"), Pressed::Nothing);
        assert_eq!(press(&map, "f"), Pressed::Command(Command::Quit));
        assert_eq!(press(&map, "3"), Pressed::Command(Command::Findings));
        assert_eq!(press(&map, "g"), Pressed::More);
        assert_eq!(press(&map, "g g"), Pressed::Command(Command::Top));
        assert!(map.bind("fly", &["x".into()]).is_err() && map.bind("sort", &["alt-x".into()]).is_err());
        assert!(map.table().contains("quit              f                Leave"));
    }
}
