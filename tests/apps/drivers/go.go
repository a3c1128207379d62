package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"strconv"
	"time"

	_ "DRIVER"
)

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

func main() {
	db := must(sql.Open("NAME", "file:"+os.Args[1]+"?_txlock=immediate&TIMEOUT"))
	for number := 0; number < must(strconv.Atoi(os.Args[3])); number++ {
		name := fmt.Sprintf("%s %d", os.Args[2], number)
		transaction := must(db.BeginTx(context.Background(), nil))
		parent := must(must(transaction.Exec("INSERT INTO parent(name) VALUES(?)", name)).LastInsertId())
		child := must(must(transaction.Exec("INSERT INTO child(parent, name) VALUES(?, ?)", parent, name)).LastInsertId())
		var returned int64
		must(0, transaction.QueryRow("INSERT INTO child(parent, name) VALUES(?, ?) RETURNING id", parent, name).Scan(&returned))
		must(0, transaction.Commit())
		fmt.Printf("%s\t%d\t%d\t%d\n", name, parent, child, returned)
		time.Sleep(20 * time.Millisecond)
	}
}
