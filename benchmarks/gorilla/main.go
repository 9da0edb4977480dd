// The original, gorilla/sessions, as a process that measures on demand: so its runs take turns with ours.
//
// Usage: gorilla PAYLOADS DIRECTORY... where PAYLOADS is a JSON file of sessions by size. It first writes a
// line "cookie NAME SIZE BYTES" for each peer and size, then "ready". A line "NAME CASE SIZE COUNT" on its
// standard input makes it run so many requests and answer with their nanoseconds. NAME is "bare", "hash",
// "hash+block", or "files" and the number of a directory.
package main

import (
	"bufio"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/gorilla/securecookie"
	"github.com/gorilla/sessions"
)

const foreign = "_ga=GA1.1.1234567890; theme=dark"

// The payload of 2 kB takes more than the 4096 bytes that gorilla allows by default.
const limit = 8192

type values = map[interface{}]interface{}

// A response that keeps its headers and drops its body.
type response struct{ header http.Header }

func (r *response) Header() http.Header         { return r.header }
func (r *response) Write(b []byte) (int, error) { return len(b), nil }
func (r *response) WriteHeader(int)             {}

type handler func(http.ResponseWriter, *http.Request)

func main() {
	gob.Register([]interface{}{})
	gob.Register(map[string]interface{}{})
	payloads := load(os.Args[1])
	stores := makeStores(os.Args[2:])
	for name, store := range stores {
		for size, payload := range payloads {
			check(store, payload)
			fmt.Println("cookie", name, size, len(firstCookie(store, payload)))
		}
	}
	fmt.Println("ready")
	serve(stores, payloads)
}

func serve(stores map[string]sessions.Store, payloads map[string]values) {
	prepared := map[string]func(int) int64{}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var name, kind, size string
		var count int
		if _, err := fmt.Sscan(lines.Text(), &name, &kind, &size, &count); err != nil {
			panic(err)
		}
		key := name + " " + kind + " " + size
		if prepared[key] == nil {
			prepared[key] = prepare(stores[name], kind, payloads[size])
		}
		fmt.Println(prepared[key](count))
	}
}

func prepare(store sessions.Store, kind string, payload values) func(int) int64 {
	cookie := ""
	if store != nil && kind != "new" {
		cookie = "; " + firstCookie(store, payload)
	}
	if kind == "forged" {
		cookie = forge(cookie)
	}
	handle := handlerFor(store, kind, payload)
	return func(count int) int64 {
		if store == nil {
			// What the blocks before it left behind is not the bare handler's to collect.
			runtime.GC()
		}
		begun := time.Now()
		for ; count > 0; count-- {
			request(handle, foreign+cookie)
		}
		return time.Since(begun).Nanoseconds()
	}
}

func handlerFor(store sessions.Store, kind string, payload values) handler {
	return func(w http.ResponseWriter, r *http.Request) {
		if store != nil && kind != "untouched" {
			// A cookie that is not authentic gives an error and a new session.
			session, _ := store.Get(r, "session")
			switch kind {
			case "write":
				session.Values["n"] = session.Values["n"].(int) + 1
				must(session.Save(r, w))
			case "new":
				for key, value := range payload {
					session.Values[key] = value
				}
				must(session.Save(r, w))
			default:
				_ = session.Values["n"]
			}
		}
		w.Header().Set("Content-Type", "text/plain")
		w.Write([]byte("ok"))
	}
}

func request(handle handler, cookie string) *response {
	r := &http.Request{Method: "GET", URL: &url.URL{Path: "/"}, Proto: "HTTP/1.1", Host: "localhost"}
	r.Header = http.Header{"Cookie": {cookie}}
	w := &response{header: http.Header{}}
	handle(w, r)
	return w
}

func firstCookie(store sessions.Store, payload values) string {
	set := request(handlerFor(store, "new", payload), foreign).header.Get("Set-Cookie")
	return strings.SplitN(set, ";", 2)[0]
}

func forge(cookie string) string {
	end := "AAAAAAAA"
	if strings.HasSuffix(cookie, end) {
		end = "BBBBBBBB"
	}
	return cookie[:len(cookie)-len(end)] + end
}

// Ends the program unless it is sessions that are measured.
func check(store sessions.Store, payload values) {
	cookie := firstCookie(store, payload)
	if seen(store, cookie) != 42 || seen(store, forge(cookie)) != nil {
		panic("sessions are not kept, or forged ones are believed")
	}
	w := request(handlerFor(store, "write", payload), cookie)
	if seen(store, strings.SplitN(w.header.Get("Set-Cookie"), ";", 2)[0]) != 43 {
		panic("changes are not kept")
	}
}

func seen(store sessions.Store, cookie string) (found interface{}) {
	request(func(w http.ResponseWriter, r *http.Request) {
		session, _ := store.Get(r, "session")
		found = session.Values["n"]
	}, cookie)
	return
}

func makeStores(directories []string) map[string]sessions.Store {
	hashKey, blockKey := securecookie.GenerateRandomKey(32), securecookie.GenerateRandomKey(32)
	signed, encrypted := sessions.NewCookieStore(hashKey), sessions.NewCookieStore(hashKey, blockKey)
	for _, codec := range append(signed.Codecs[:1:1], encrypted.Codecs...) {
		codec.(*securecookie.SecureCookie).MaxLength(limit)
	}
	stores := map[string]sessions.Store{"hash": signed, "hash+block": encrypted}
	for number, directory := range directories {
		files := sessions.NewFilesystemStore(directory, hashKey)
		files.MaxLength(limit)
		stores[fmt.Sprint("files", number)] = files
	}
	return stores
}

func load(path string) map[string]values {
	data, err := os.ReadFile(path)
	must(err)
	var raw map[string]map[string]interface{}
	must(json.Unmarshal(data, &raw))
	payloads := map[string]values{}
	for size, session := range raw {
		payload := values{}
		for key, value := range session {
			payload[key] = whole(value)
		}
		payloads[size] = payload
	}
	return payloads
}

// JSON has one kind of number; whole ones become ints again.
func whole(value interface{}) interface{} {
	switch value := value.(type) {
	case float64:
		if value == float64(int(value)) {
			return int(value)
		}
	case []interface{}:
		for place := range value {
			value[place] = whole(value[place])
		}
	case map[string]interface{}:
		for key := range value {
			value[key] = whole(value[key])
		}
	}
	return value
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
