// Answers one request as a CGI program does (RFC 3875).
package main

import (
	"fmt"
	"log"
	"net/http"
	"net/http/cgi"
)

func main() {
	log.SetFlags(0) // A line of the function's log has its time.
	http.HandleFunc("/", hello)
	if err := cgi.Serve(nil); err != nil {
		log.Fatal(err)
	}
}

func hello(response http.ResponseWriter, request *http.Request) {
	log.Println(request.Method, request.URL.Path)
	response.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintf(response, "Hello from %s\n", request.URL.Path)
}
