// Verifies the audit log of mediamill with Go's own packages for transparency logs. Arguments: the folder of the log, the key.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func fail(format string, args ...interface{}) {
	fmt.Printf(format+"\n", args...)
	os.Exit(1)
}

func main() {
	folder, key := os.Args[1], os.Args[2]
	verifier, err := note.NewVerifier(key)
	if err != nil {
		fail("key: %v", err)
	}
	segments, _ := filepath.Glob(filepath.Join(folder, "entries", "*.jsonl"))
	sort.Strings(segments)
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for n, index := range indexes {
			hashes[n] = stored[index]
		}
		return hashes, nil
	})
	count := int64(0)
	for _, segment := range segments {
		if filepath.Base(segment) != fmt.Sprintf("%016d.jsonl", count) {
			fail("a gap before %s", filepath.Base(segment))
		}
		text, _ := os.ReadFile(segment)
		for _, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
			hashes, err := tlog.StoredHashes(count, []byte(line), reader)
			if err != nil {
				fail("%v", err)
			}
			stored, count = append(stored, hashes...), count+1
		}
	}
	checkpoints, _ := filepath.Glob(filepath.Join(folder, "checkpoints", "*"))
	for _, path := range checkpoints {
		message, _ := os.ReadFile(path)
		opened, err := note.Open(message, note.VerifierList(verifier))
		if err != nil {
			fail("%s: %v", filepath.Base(path), err)
		}
		lines := strings.Split(opened.Text, "\n")
		var size int64
		fmt.Sscan(lines[1], &size)
		if lines[0] != verifier.Name() || size > count {
			fail("%d entries are signed, and there are %d", size, count)
		}
		root, err := tlog.TreeHash(size, reader)
		if err != nil || root.String() != lines[2] {
			fail("the first %d entries are not those that are signed", size)
		}
	}
	fmt.Printf("%d entries, %d checkpoints\n", count, len(checkpoints))
}
