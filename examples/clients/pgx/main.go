// pgx takes several hosts in one URL, and asks each with SHOW transaction_read_only. Writes one row every 20 ms until its
// input is closed:  go run . 'postgres://app@old,new/orders?target_session_attrs=read-write'
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Runs work until it succeeds. It must be fine to run twice: a lost connection doesn't say whether it took effect.
func write(ctx context.Context, url string, conn *pgx.Conn, work func(*pgx.Conn) error) (*pgx.Conn, error) {
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 500*time.Millisecond) {
		var err error
		if conn == nil || conn.IsClosed() {
			conn, err = pgx.Connect(ctx, url)
		}
		if err == nil {
			if err = work(conn); err == nil {
				return conn, nil
			}
		}
		var refused *pgconn.PgError
		moved := errors.As(err, &refused) && refused.Code == "25006" // the primary is elsewhere now
		ended := errors.As(err, &refused) && refused.Code[:3] == "57P"
		if refused != nil && !moved && !ended && conn != nil && !conn.IsClosed() {
			return conn, err
		}
		if conn != nil {
			conn.Close(ctx)
		}
		conn = nil
		time.Sleep(wait)
	}
}

func main() {
	ctx := context.Background()
	closed := make(chan struct{})
	go func() { io.Copy(io.Discard, os.Stdin); close(closed) }()
	var conn *pgx.Conn
	written := 0
	for {
		select {
		case <-closed:
			fmt.Fprintln(os.Stderr, written, "written")
			return
		case <-time.After(20 * time.Millisecond):
		}
		id := uuid.New()
		var err error
		conn, err = write(ctx, os.Args[1], conn, func(c *pgx.Conn) error {
			_, err := c.Exec(ctx, "insert into driver_write (id) values ($1) on conflict do nothing", id)
			return err
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		written++
		fmt.Println(id)
	}
}
