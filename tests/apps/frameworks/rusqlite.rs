use rusqlite::{Connection, Result, TransactionBehavior};

fn run() -> Result<()> {
    let mut connection = Connection::open("app.db")?;
    let busy: i64 = connection.query_row("PRAGMA busy_timeout", [], |row| row.get(0))?;
    println!("busy {busy}");
    // SNIPPET
    let _: i64 = transaction.query_row("SELECT count(*) FROM note", [], |row| row.get(0))?;
    println!("open");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    transaction.execute("INSERT INTO note(body) VALUES('framework')", [])?;
    transaction.commit()
}

fn main() {
    let _ = TransactionBehavior::Deferred;
    match run() {
        Ok(()) => println!("done"),
        Err(error) => println!("error {error}"),
    }
}
