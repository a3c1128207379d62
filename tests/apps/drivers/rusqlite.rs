use rusqlite::{params, Connection, TransactionBehavior};
use std::time::Duration;

fn main() -> rusqlite::Result<()> {
    let words: Vec<String> = std::env::args().collect();
    let mut connection = Connection::open(&words[1])?;
    connection.busy_timeout(Duration::from_secs(30))?;
    for number in 0..words[3].parse::<u32>().expect("a number") {
        let name = format!("{} {}", words[2], number);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute("INSERT INTO parent(name) VALUES(?)", params![name])?;
        let parent = transaction.last_insert_rowid();
        transaction.execute("INSERT INTO child(parent, name) VALUES(?, ?)", params![parent, name])?;
        let child = transaction.last_insert_rowid();
        let returned: i64 = transaction.query_row("INSERT INTO child(parent, name) VALUES(?, ?) RETURNING id", params![parent, name], |row| row.get(0))?;
        transaction.commit()?;
        println!("{name}\t{parent}\t{child}\t{returned}");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
