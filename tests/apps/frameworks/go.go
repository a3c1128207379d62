package main

import (
	"bufio"
	"database/sql"
	"fmt"
	"os"
	"runtime/debug"

	_ "DRIVER"
)

func version() string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == "DRIVER" {
			return module.Version[1:]
		}
	}
	return "unknown"
}

func run() error {
	// SNIPPET
	if err != nil {
		return err
	}
	var n int
	if err := db.QueryRow("PRAGMA busy_timeout").Scan(&n); err != nil {
		return err
	}
	fmt.Printf("version %s\nbusy %d\n", version(), n)
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := tx.QueryRow("SELECT count(*) FROM note").Scan(&n); err != nil {
		return err
	}
	fmt.Println("open")
	bufio.NewReader(os.Stdin).ReadString('\n')
	if _, err := tx.Exec("INSERT INTO note(body) VALUES('framework')"); err != nil {
		return err
	}
	return tx.Commit()
}

func main() {
	if err := run(); err != nil {
		fmt.Println("error", err)
		return
	}
	fmt.Println("done")
}
