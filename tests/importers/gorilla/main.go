// Prints cookies as gorilla/sessions and gorilla/securecookie make them, for the tests of the importer.
//
// go run main.go HASH_KEY BLOCK_KEY: one JSON object, the name of a case to its cookie. The block key has 32
// bytes; what needs fewer takes its beginning. Time is now: nothing else can be told to the library.
package main

import (
	"crypto/sha512"
	"encoding/gob"
	"encoding/json"
	"math"
	"net/http/httptest"
	"os"
	"time"

	"github.com/gorilla/securecookie"
	"github.com/gorilla/sessions"
)

type anything = map[interface{}]interface{}

type user struct {
	Name string
	Age  int
}

var hash, block []byte

// saved is the value of the cookie that a CookieStore with these keys sets.
func saved(fill func(*sessions.Session), keys ...[]byte) string {
	store := sessions.NewCookieStore(keys...)
	request := httptest.NewRequest("GET", "/", nil)
	session, err := store.Get(request, "session")
	check(err)
	fill(session)
	recorder := httptest.NewRecorder()
	check(session.Save(request, recorder))
	return recorder.Result().Cookies()[0].Value
}

// holding is a hash-only cookie with these values.
func holding(values anything) string {
	return saved(func(session *sessions.Session) { session.Values = values }, hash)
}

// encoded is what securecookie alone makes of a value.
func encoded(codec *securecookie.SecureCookie, value interface{}) string {
	text, err := codec.Encode("session", value)
	check(err)
	return text
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func plain(session *sessions.Session) {
	session.Values["foo"] = "bar"
	session.Values[42] = 43
}

func flashing(session *sessions.Session) {
	session.Values["foo"] = "bar"
	session.AddFlash("one")
	session.AddFlash(2)
	session.AddFlash([]interface{}{"deep", nil})
	session.AddFlash("red", "warnings")
}

func numbers() anything {
	return anything{
		"int": -1, "int8": int8(-128), "int16": int16(300), "int32": int32(-70000), "int64": int64(math.MinInt64),
		"uint": uint(0), "uint8": uint8(255), "uint16": uint16(128), "uint32": uint32(1 << 31),
		"uint64": uint64(math.MaxUint64), "float32": float32(1.5), "float64": -0.1, "inf": math.Inf(1),
		"max": math.MaxInt64,
	}
}

func others() anything {
	return anything{
		"true": true, "false": false, "nil": nil, "empty": "", "text": "grüße, 世界", "bytes": []byte{0, 255},
		int64(-5): "negative key", 2.5: "float key", nil: "nil key", false: "bool key",
	}
}

func nested() anything {
	return anything{
		"strings": []string{"a", "b"}, "ints": []int{1, -2}, "floats": []float64{0.5}, "bools": []bool{true},
		"none": []string{}, "any": []interface{}{1, "x", nil, []interface{}{[]string{"in"}}},
		"map":     map[string]interface{}{"k": []interface{}{map[string]interface{}{"roles": []string{"admin"}}}},
		"any map": anything{1: anything{2: "two"}},
		"counts":  map[string]int{"a": 1},
		"names":   map[int][]string{7: {"seven"}},
	}
}

func deep(levels int) anything {
	value := interface{}("bottom")
	for i := 0; i < levels; i++ {
		value = []interface{}{value}
	}
	return anything{"deep": value}
}

func main() {
	hash, block = []byte(os.Args[1]), []byte(os.Args[2])
	for _, value := range []interface{}{
		map[string]interface{}{}, anything{}, map[string]int{}, map[int][]string{}, user{}, time.Time{}, [2]int{},
	} {
		gob.Register(value)
	}
	other := []byte("another hash key, of the time before")
	cookies := map[string]string{
		"hash only":  saved(plain, hash),
		"AES-128":    saved(plain, hash, block[:16]),
		"AES-192":    saved(plain, hash, block[:24]),
		"AES-256":    saved(plain, hash, block),
		"other hash": saved(plain, other),
		"other AES":  saved(plain, other, block[:16]),
		"empty":      holding(anything{}),
		"flashes":    saved(flashing, hash),
		"numbers":    holding(numbers()),
		"others":     holding(others()),
		"nested":     holding(nested()),
		"deep":       holding(deep(40)),
		"too deep":   holding(deep(70)),
		"struct":     holding(anything{"user": user{"ada", 36}}),
		"pointer":    holding(anything{"user": &user{"ada", 36}}),
		"time":       holding(anything{"at": time.Unix(1, 0)}),
		"array":      holding(anything{"pair": [2]int{1, 2}}),
		"complex":    holding(anything{"z": complex(1, 2)}),
		"not UTF-8":  holding(anything{"text": "\xff"}),
		"one key":    holding(anything{1: "int", 1.0: "float", true: "bool"}),
		"sha512":     encoded(securecookie.New(hash, nil).HashFunc(sha512.New), map[string]string{"foo": "bar"}),
		"strings":    encoded(securecookie.New(hash, block), map[string]string{"foo": "bar"}),
		"bare":       encoded(securecookie.New(hash, nil), "an id of a FilesystemStore"),
		"json": encoded(securecookie.New(hash, nil).SetSerializer(securecookie.JSONEncoder{}),
			map[string]interface{}{"foo": "<b>&", "n": 1, "_flash": []string{"one"}}),
		"json AES": encoded(securecookie.New(hash, block).SetSerializer(securecookie.JSONEncoder{}), []int{1}),
	}
	text, err := securecookie.New(hash, nil).Encode("cart", anything{"foo": "bar"})
	check(err)
	cookies["of the session cart"] = text
	check(json.NewEncoder(os.Stdout).Encode(cookies))
}
