//! `docs/guide/first-component.md`, done as it is written: in an empty folder, with nothing but the
//! binary and Rust.
//!
//! Each block of the page is one step, by its first words:
//!
//! * `sh`: commands, run in a shell; the folder that they change into holds for what follows.
//! * `sh agent`: the same in a terminal of its own, which stays until the end.
//! * `text shown`: lines that the last commands have printed.
//! * `text log`: lines that the agent prints, after those that were asked for before.
//! * a language and a path: a file, written with an editor.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use flumen_tests::binary;
use flumen_tests::terminal::Terminal;
use flumen_tests::wait::PATIENCE;

use crate::components::{empty_folder, shared_target};

/// A block of the page: the words behind its opening fence, and its lines.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    words: String,
    text: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(words) = line.strip_prefix("```") else {
            continue;
        };
        let inside = lines.by_ref().take_while(|line| *line != "```");
        blocks.push(Block {
            words: words.to_owned(),
            text: inside.flat_map(|line| [line, "\n"]).collect(),
        });
    }
    blocks
}

/// A new user: a home of their own, the folder where they are, and what they see.
struct User {
    home: PathBuf,
    folder: PathBuf,
    shown: String,
    agent: Option<Terminal>,
    /// How much of the agent's log was looked at.
    position: usize,
}

impl User {
    fn new(home: &Path) -> Result<Self> {
        let folder = home.join("empty");
        fs::create_dir(&folder)?;
        Ok(Self {
            home: home.to_owned(),
            folder,
            shown: String::new(),
            agent: None,
            position: 0,
        })
    }

    fn follow(&mut self, block: &Block) -> Result<()> {
        let what = block.words.as_str();
        match what.split_once(' ') {
            None if what == "sh" => self.run(&block.text),
            Some(("sh", "agent")) => {
                self.agent = Some(Terminal::start(self.shell(&block.text)?)?);
                Ok(())
            }
            Some(("text", "shown")) => {
                for line in block.text.lines() {
                    ensure!(
                        self.shown.contains(line),
                        "{line:?} is not shown in\n{}",
                        self.shown
                    );
                }
                Ok(())
            }
            Some(("text", "log")) => self.see_in_log(&block.text),
            Some((_, path)) => Ok(fs::write(self.folder.join(path), &block.text)?),
            None => bail!("a block of the page says not what it is: {what:?}"),
        }
    }

    /// The commands in a shell that ends with the first one that fails.
    fn shell(&self, commands: &str) -> Result<Command> {
        let binary = binary::locate()?;
        let own = binary.parent().context("the binary has no folder")?;
        let before = std::env::var_os("PATH").unwrap_or_default();
        let before = std::env::split_paths(&before);
        let path = std::env::join_paths([own.to_owned()].into_iter().chain(before))?;
        let mut shell = Command::new("bash");
        shell.arg("-euc").arg(commands).current_dir(&self.folder);
        // Rust is where it was; all else is the new user's.
        for (name, folder) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
            if std::env::var_os(name).is_none()
                && let Some(home) = std::env::var_os("HOME")
            {
                shell.env(name, Path::new(&home).join(folder));
            }
        }
        for name in [
            "CARGO_TARGET_DIR",
            "CARGO_BUILD_TARGET_DIR",
            "RUSTFLAGS",
            "XDG_CACHE_HOME",
        ] {
            shell.env_remove(name);
        }
        shell.env("PATH", path).env("HOME", &self.home);
        shell.stdin(Stdio::null());
        Ok(shell)
    }

    fn run(&mut self, commands: &str) -> Result<()> {
        let note = self.home.join("folder");
        let noted = format!("{commands}\npwd > '{}'", note.display());
        let output = self.shell(&noted)?.output()?;
        self.shown = String::from_utf8_lossy(&output.stdout).into_owned();
        self.shown
            .push_str(&String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "{commands}fails:\n{}", self.shown);
        self.folder = fs::read_to_string(note)?.trim_end().into();
        self.share_target()
    }

    /// What the test of before has compiled is not compiled again.
    fn share_target(&self) -> Result<()> {
        let target = self.folder.join("target");
        if self.folder.join("Cargo.toml").exists() && !target.exists() {
            let shared = shared_target();
            fs::create_dir_all(&shared)?;
            symlink(shared, target)?;
        }
        Ok(())
    }

    fn see_in_log(&mut self, lines: &str) -> Result<()> {
        let agent = self.agent.as_ref().context("no agent was started")?;
        let output = agent.output();
        for line in lines.lines() {
            output.wait_for_after(self.position, line, PATIENCE)?;
        }
        self.position = output.position();
        Ok(())
    }
}

#[test]
fn the_page_does_what_it_says() -> Result<()> {
    let page = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../docs/guide/first-component.md"
    );
    let mut user = User::new(&empty_folder("first-component")?)?;
    let blocks = blocks(&fs::read_to_string(page)?);
    for word in ["sh", "sh agent", "text shown", "text log"] {
        assert!(blocks.iter().any(|block| block.words == word), "{word}");
    }
    for block in &blocks {
        user.follow(block)
            .with_context(|| format!("at the block\n{}", block.text))?;
    }
    let mut agent = user.agent.context("the page starts no agent")?;
    agent.interrupt()?;
    assert_eq!(agent.wait_exit(PATIENCE)?.code(), Some(0));
    Ok(())
}
